"""Transactions made to meet at a chosen statement, so that a race is no matter of luck."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

ALIAS = "counter"
PATIENCE = 20
HOLD = 0x686F6C64  # the key of an advisory lock
ACCEPTING = "counter_accept("  # in the statement that accepts increments
FUNCTION = re.compile(r"(?:pg_temp\.)?(counter_accept|counter_find)(?=\()")


class Pause:
    """A place where a thread stops until it is told to go on."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._over = threading.Event()

    def stop_here(self) -> None:
        self._reached.set()
        assert self._over.wait(PATIENCE), "the pause was never ended"

    def wait_until_reached(self) -> None:
        assert self._reached.wait(PATIENCE), "no thread came to the pause"

    def end(self) -> None:
        self._over.set()


class LastPause(Pause):
    """A place where a thread stops, and then dies."""

    def stop_here(self) -> None:
        super().stop_here()
        raise Died


@contextmanager
def paused_after(fragment: str, pause: Pause) -> Iterator[None]:
    """This thread stops at `pause` after the next statement that contains `fragment`."""
    paused = False

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal paused
        answer = execute(sql, *rest)
        if fragment in sql and not paused:
            paused = True
            pause.stop_here()
        return answer

    with connections[ALIAS].execute_wrapper(wrapper):
        yield


@contextmanager
def rewritten(fragment: str, replacement: str) -> Iterator[None]:
    """This thread's statements say `replacement` instead of `fragment`: a guard taken out.

    So do the functions in the database, as this thread calls them.
    """
    met = False

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal met
        called = FUNCTION.search(sql)
        if called and fragment in (body := _definition_of(called[0])):
            met = True
            _define_for_this_session(body.replace(fragment, replacement))
            sql = FUNCTION.sub(r"pg_temp.\1", sql)
        met = met or fragment in sql
        return execute(sql.replace(fragment, replacement), *rest)

    with connections[ALIAS].execute_wrapper(wrapper):
        yield
    assert met, f"no statement says {fragment!r}"


def _definition_of(function: str) -> str:
    found = connections[ALIAS].connection.execute(
        "SELECT pg_get_functiondef(%s::regproc)", [function]
    )
    return str(found.fetchone()[0])


def _define_for_this_session(definition: str) -> None:
    temporary = re.sub(r"(?<=FUNCTION )\w+(?=\.counter_)", "pg_temp", definition, count=1)
    connections[ALIAS].connection.execute(temporary)


@contextmanager
def waiting_within(condition: str) -> Iterator[None]:
    """This thread's statement with this condition waits in the middle, as long as it is held up.

    It sees then what was committed when it began, and has no lock of a row yet.
    """
    with rewritten(condition, f"{condition} AND pg_advisory_xact_lock_shared({HOLD})::text = ''"):
        yield


@contextmanager
def held_up() -> Iterator[None]:
    """Who comes to wait within a statement does so until the block ends."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_lock({HOLD})")
        try:
            yield
        finally:
            cursor.execute(f"SELECT pg_advisory_unlock({HOLD})")


@contextmanager
def dying_at(number: int) -> Iterator[None]:
    """This thread dies instead of executing its `number`-th statement, from 1."""
    executed = 0

    def wrapper(execute: Callable[..., Any], *statement: Any) -> Any:
        nonlocal executed
        executed += 1
        if executed == number:
            raise Died
        return execute(*statement)

    with connections[ALIAS].execute_wrapper(wrapper):
        yield


class Died(BaseException):
    """Stands for the process being killed."""


def terminate_other_sessions() -> None:
    """End every other session of this database, as a dying process ends its own."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
