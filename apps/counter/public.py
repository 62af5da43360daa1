"""The door of the counter app: the only module that other apps and `tasks` may import."""

from apps.counter.consumer import apply_pending_increments
from apps.counter.operations import purge_deleted_counters
from apps.counter.owners import COUNTERS as holdings
from apps.counter.queries import Unequal, count_pending, find_unequal_counters

__all__ = [
    "Unequal",
    "apply_pending_increments",
    "count_pending",
    "find_unequal_counters",
    "holdings",
    "purge_deleted_counters",
]
