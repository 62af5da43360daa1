"""The door of the counter app: the only module that other apps and `tasks` may import."""

from uuid import UUID

from apps.counter.consumer import apply_pending_increments
from apps.counter.operations import accept_increment, create_counter, purge_deleted_counters
from apps.counter.owners import COUNTERS as holdings
from apps.counter.queries import Unequal, count_counters, count_pending, find_unequal_counters
from kit.directory import Viewer

__all__ = [
    "Unequal",
    "apply_pending_increments",
    "count_counters",
    "count_pending",
    "find_unequal_counters",
    "holdings",
    "increment",
    "open_counter",
    "purge_deleted_counters",
]


def open_counter(*, owner_id: UUID, name: str, description: str = "") -> UUID:
    """Create a counter; returns its id. Raises NameTaken and OwnerIsGone."""
    return create_counter(owner_id=owner_id, name=name, description=description).id


def increment(*, counter_id: UUID, owner_id: UUID, amount: int = 1, key: str | None = None) -> UUID:
    """Accept an increment by the counter's owner; returns its id. Raises as `accept_increment`."""
    receipt, _ = accept_increment(
        counter_id=counter_id, viewer=Viewer(owner_id), amount=amount, key=key
    )
    return receipt.id
