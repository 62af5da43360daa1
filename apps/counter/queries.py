"""Reads of the counter database. Nothing here writes."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import (
    BigIntegerField,
    Count,
    IntegerField,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.counter.errors import CounterNotFound, CounterNotYours, IncrementNotFound
from apps.counter.models import Counter, Increment
from kit.directory import Viewer


@dataclass(frozen=True)
class Unequal:
    """A counter whose value is not what its ledger says."""

    counter_id: UUID
    value: int
    ledger: int


def list_counters(viewer: Viewer) -> QuerySet[Counter]:
    """One's own and others' public ones; staff see all. Not those that are going.

    Each with `pending_count` and `pending_amount`, read in the same statement as
    `value`: one snapshot, so `value + pending_amount` is exact.
    """
    counters = Counter.objects.filter(deleted_at=None, owner__tombstoned_at=None)
    if not viewer.is_staff:
        public = Q(visibility=Counter.Visibility.PUBLIC)
        counters = counters.filter(Q(owner=viewer.user_id) | public)
    return with_pending(counters).select_related("owner")


def with_pending(counters: QuerySet[Counter]) -> QuerySet[Counter]:
    pending = Increment.objects.filter(counter=OuterRef("id"), settled_at=None).order_by()
    of_one = pending.values("counter")
    count = Subquery(of_one.values(n=Count("amount")), output_field=IntegerField())
    amount = Subquery(of_one.values(n=Sum("amount")), output_field=BigIntegerField())
    return counters.annotate(
        pending_count=Coalesce(count, Value(0)), pending_amount=Coalesce(amount, Value(0))
    )


def get_counter(counter_id: UUID, viewer: Viewer) -> Counter:
    """Raises CounterNotFound, also for one that is not the viewer's to see."""
    try:
        return list_counters(viewer).get(id=counter_id)
    except Counter.DoesNotExist:
        raise CounterNotFound from None


def get_owner_of_changeable(counter_id: UUID, viewer: Viewer) -> UUID:
    """The owner's id. Raises CounterNotFound, and CounterNotYours for one only to be read."""
    live = Counter.objects.filter(id=counter_id, deleted_at=None, owner__tombstoned_at=None)
    row = live.values_list("owner", "visibility").first()
    if row is None:
        raise CounterNotFound
    owner_id, visibility = row
    if viewer.is_staff or owner_id == viewer.user_id:
        return owner_id
    raise CounterNotYours if visibility == Counter.Visibility.PUBLIC else CounterNotFound


def list_increments(counter_id: UUID, viewer: Viewer) -> QuerySet[Increment]:
    """The counter's ledger. Raises CounterNotFound."""
    get_counter(counter_id, viewer)
    return Increment.objects.filter(counter=counter_id)


def in_state(state: str) -> Q:
    """The condition for an increment to be in this state."""
    return {
        Increment.State.PENDING: Q(settled_at=None),
        Increment.State.APPLIED: Q(result__isnull=False),
        Increment.State.REFUSED: Q(settled_at__isnull=False, result=None),
    }[Increment.State(state)]


def get_increment(counter_id: UUID, increment_id: UUID, viewer: Viewer) -> Increment:
    """Raises CounterNotFound and IncrementNotFound."""
    increment = list_increments(counter_id, viewer).filter(id=increment_id).first()
    if increment is None:
        raise IncrementNotFound
    return increment


def find_counter_id(owner_id: UUID, name: str) -> UUID | None:
    """The id of this owner's counter with this name."""
    counters = Counter.objects.filter(owner=owner_id, name=name, deleted_at=None)
    return counters.values_list("id", flat=True).first()


def list_deleted_counters() -> list[UUID]:
    """Counters that were deleted and whose ledger is still to be removed."""
    return list(Counter.objects.exclude(deleted_at=None).values_list("id", flat=True))


def count_pending() -> tuple[int, float]:
    """How many increments are pending, and the age of the oldest in seconds."""
    pending = Increment.objects.filter(settled_at=None)
    oldest = pending.aggregate(oldest=Min("accepted_at"))["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    return pending.count(), max(age, 0.0)


def count_counters() -> int:
    """How many counters there are, those that are going included."""
    return Counter.objects.count()


def find_unequal_counters(after: UUID | None, *, limit: int) -> tuple[list[Unequal], UUID | None]:
    """Those of the next `limit` counters whose value is not the sum of what was applied.

    Also the id to go on after, or None at the end. Value and sum come from one
    statement, so a consumer at work makes no difference.
    """
    page = Counter.objects.order_by("id")
    if after is not None:
        page = page.filter(id__gt=after)
    live = Q(deleted_at=None, owner__tombstoned_at=None)
    applied = Increment.objects.filter(counter=OuterRef("id"), result__isnull=False).order_by()
    ledger = Subquery(
        applied.values("counter").values(n=Sum("amount")), output_field=BigIntegerField()
    )
    page = page.annotate(live=live, ledger=Coalesce(ledger, Value(0)))
    rows = list(page.values_list("id", "value", "ledger", "live")[:limit])
    unequal = [Unequal(*row[:3]) for row in rows if row[3] and row[1] != row[2]]
    return unequal, rows[-1][0] if len(rows) == limit else None
