"""The door of the counter app: the only module that other apps and `tasks` may import."""

from uuid import UUID

from apps.counter.accepting import accept_increment
from apps.counter.auditing import (
    Comparison,
    compare,
    compare_counters,
    count_keys_left_over,
    find_set_aside,
    find_strays,
    find_unheld,
    measure_audit,
    repair_counter,
)
from apps.counter.consumer import apply_pending_increments, keep_applying
from apps.counter.lanes import SLOTS as MOST_LANES
from apps.counter.lanes import lane_of
from apps.counter.operations import create_counter, purge_deleted_counters
from apps.counter.owners import COUNTERS as holdings
from apps.counter.queries import count_pending, count_set_aside
from kit.directory import Viewer

__all__ = [
    "MOST_LANES",
    "Comparison",
    "apply_pending_increments",
    "compare",
    "compare_counters",
    "count_keys_left_over",
    "count_pending",
    "count_set_aside",
    "find_set_aside",
    "find_strays",
    "find_unheld",
    "holdings",
    "increment",
    "keep_applying",
    "lane_of",
    "measure_audit",
    "open_counter",
    "purge_deleted_counters",
    "repair_counter",
]


def open_counter(*, owner_id: UUID, name: str, description: str = "") -> UUID:
    """Create a counter; returns its id. Raises NameTaken and OwnerIsGone."""
    return create_counter(owner_id=owner_id, name=name, description=description).id


def increment(*, counter_id: UUID, owner_id: UUID, amount: int = 1, key: str | None = None) -> UUID:
    """Accept an increment by the counter's owner; returns its id. Raises as `accept_increment`."""
    viewer = Viewer(owner_id)
    return accept_increment(counter_id=counter_id, viewer=viewer, amount=amount, key=key).id
