"""A process killed in the middle of a transaction, which the server then rolls back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections


class Killed(BaseException):
    """Stands for the process being killed: no `except Exception` sees it."""


@contextmanager
def killed_after(alias: str, statement: str = "", *, number: int = 1) -> Iterator[None]:
    """Die right after the `number`-th statement in this database that contains `statement`."""
    left = number

    def execute_and_die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        answer = execute(sql, params, many, context)
        left -= statement in sql
        if left == 0:
            raise Killed
        return answer

    with connections[alias].execute_wrapper(execute_and_die):
        yield
