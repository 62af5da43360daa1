"""The two ways in which an app touches a transaction.

Every write happens inside `durable(alias)` and every consequence of it is announced
with `after_commit(alias, …)`. Both demand the database by name: Django's own
`transaction.on_commit` without `using=` fires at once when the open transaction is
in another database, and stays fired after a rollback.
"""

from collections.abc import Callable

from django.db import transaction
from django.db.transaction import Atomic


def durable(using: str) -> Atomic:
    """One transaction in one database, committed when the block ends.

    Raises RuntimeError when entered inside another: a write whose caller could
    still roll it back has not happened.
    """
    return transaction.atomic(using=using, durable=True)


def after_commit(using: str, announce: Callable[[], object]) -> None:
    """Call `announce` once the open transaction in `using` has committed, or never.

    What it raises is logged and swallowed: the rows are already the truth, and
    whoever should have heard finds them at the next sweep.
    """
    transaction.on_commit(announce, using=using, robust=True)
