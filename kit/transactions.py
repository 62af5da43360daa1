"""The ways in which an app touches a transaction.

Every write happens inside `durable(alias)`, or is the statement of `in_one_statement(alias, …)`,
and every consequence of it is announced with `after_commit(alias, …)`. All demand the
database by name: Django's own `transaction.on_commit` without `using=` fires at once when
the open transaction is in another database, and stays fired after a rollback.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections, transaction
from django.db.transaction import Atomic


def durable(using: str) -> Atomic:
    """One transaction in one database, committed when the block ends.

    Raises RuntimeError when entered inside another: a write whose caller could
    still roll it back has not happened.
    """
    return transaction.atomic(using=using, durable=True)


def in_one_statement(using: str, statement: str, values: Mapping[str, Any]) -> Any:
    """Run a statement that is a transaction of its own; gives its first row, or None.

    There is no BEGIN and COMMIT to wait for. Raises RuntimeError inside another transaction, as
    `durable` does.
    """
    connection = connections[using]
    blocks = connection.atomic_blocks
    if blocks and not blocks[-1]._from_testcase:  # type: ignore[attr-defined]  # as Atomic asks
        raise RuntimeError("A statement that is to be durable is inside another transaction.")
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def after_commit(using: str, announce: Callable[[], object]) -> None:
    """Call `announce` once the open transaction in `using` has committed, or never.

    What it raises is logged and swallowed: the rows are already the truth, and
    whoever should have heard finds them at the next sweep.
    """
    transaction.on_commit(announce, using=using, robust=True)
