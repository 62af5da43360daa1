"""Reads of the counter database. Nothing here writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections
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
    UUIDField,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.counter.errors import CounterNotFound, CounterNotYours, IncrementNotFound, NotYet
from apps.counter.lanes import CONSUMER_LOCK, slot_of
from apps.counter.models import Counter, Increment, Key, Owner, Pending, key_digest
from kit.directory import Viewer
from kit.transactions import durable

ALIAS = "counter"
LONGEST_WATCH_SECONDS = 60  # that is believed: the clock may have been put back


@dataclass(frozen=True)
class Standing:
    """Where a counter stood at a moment: its value, and the place of its last applied entry."""

    value: int
    place: int


def list_counters(viewer: Viewer) -> QuerySet[Counter]:
    """One's own and others' public ones; staff see all. Not those that are going.

    Each with `pending_count` and `pending_amount`, read in the same statement as
    `value`: one snapshot, so `value + pending_amount` is exact.
    """
    return with_pending(visible_counters(viewer)).select_related("owner")


def visible_counters(viewer: Viewer) -> QuerySet[Counter]:
    counters = Counter.objects.filter(deleted_at=None, owner__tombstoned_at=None)
    if not viewer.is_staff:
        public = Q(visibility=Counter.Visibility.PUBLIC)
        counters = counters.filter(Q(owner=viewer.user_id) | public)
    return counters


def with_pending(counters: QuerySet[Counter]) -> QuerySet[Counter]:
    pending = Pending.objects.filter(counter=OuterRef("id")).order_by()
    of_one = pending.values("counter")
    count = Subquery(of_one.values(n=Count("amount")), output_field=IntegerField())
    amount = Subquery(of_one.values(n=Sum("amount")), output_field=BigIntegerField())
    return counters.annotate(
        pending_count=Coalesce(count, Value(0)), pending_amount=Coalesce(amount, Value(0))
    )


def _columns_of(model: type[Counter | Owner], table: str) -> str:
    return ", ".join(f"{table}.{field.column}" for field in model._meta.concrete_fields)


OF_COUNTER, OF_OWNER = (
    [field.attname for field in model._meta.concrete_fields] for model in (Counter, Owner)
)
GET_COUNTER = f"""
SELECT pending.count, pending.amount,
       {_columns_of(Counter, "counter")}, {_columns_of(Owner, "owner")}
FROM counter_counter AS counter JOIN counter_owner AS owner ON owner.id = counter.owner_id,
     LATERAL (
        SELECT count(*) AS count, coalesce(sum(amount), 0)::bigint AS amount
        FROM counter_pending WHERE counter_id = counter.id
     ) AS pending
WHERE counter.id = %s AND counter.deleted_at IS NULL AND owner.tombstoned_at IS NULL
  AND (%s OR counter.owner_id = %s OR counter.visibility = 'public')
"""  # noqa: S608 - of our own names only  # nosec B608


def get_counter(counter_id: UUID, viewer: Viewer) -> Counter:
    """One of `list_counters`. Raises CounterNotFound, also for one not the viewer's to see.

    What is asked for most, and a queryset takes ten times as long to put this statement together
    as the server takes to answer it.
    """
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(GET_COUNTER, [counter_id, viewer.is_staff, viewer.user_id])
        row = cursor.fetchone()
    if row is None:
        raise CounterNotFound
    count, amount, *fields = row
    counter = Counter.from_db(ALIAS, OF_COUNTER, fields[: len(OF_COUNTER)])
    counter.owner = Owner.from_db(ALIAS, OF_OWNER, fields[len(OF_COUNTER) :])
    vars(counter).update(pending_count=count, pending_amount=amount)
    return counter


def find_standings(counter_id: UUID, moments: Sequence[datetime]) -> list[Standing]:
    """Where the counter stood at each of these moments, as far as is committed.

    One look into an index for each, however long the ledger. 0 before the first increment.
    """
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(last.result, 0), coalesce(last.place, 0)
            FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS asked (moment, number)
            LEFT JOIN LATERAL (
                SELECT result, place
                FROM counter_entry
                WHERE counter_id = %s AND settled_at <= asked.moment AND result IS NOT NULL
                ORDER BY settled_at DESC, place DESC
                LIMIT 1
            ) AS last ON true
            ORDER BY asked.number
            """,
            [list(moments), counter_id],
        )
        return [Standing(*row) for row in cursor.fetchall()]


def get_value_at(counter_id: UUID, viewer: Viewer, moment: datetime) -> int:
    """The counter's value at a moment of the past; it is the same whenever it is asked for.

    Where nothing was settled since, the consumer may just be about to commit something that
    it timed before the moment. Its lock is waited for: what it settles behind that it times
    later. Raises CounterNotFound and NotYet.
    """
    counter = visible_counters(viewer).filter(id=counter_id).first()
    if counter is None:
        raise CounterNotFound
    if counter.settled_at is not None and counter.settled_at > moment:
        return find_standings(counter_id, [moment])[0].value
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        slot = slot_of(counter_id)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [CONSUMER_LOCK, slot])
        cursor.execute("SELECT clock_timestamp()")
        if cursor.fetchone()[0] < moment:
            raise NotYet
        return find_standings(counter_id, [moment])[0].value


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


def is_owner_free(counter_id: UUID) -> bool:
    """Whether nobody is setting a tombstone on the counter's owner, or purging their rows."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            SELECT FROM counter_owner AS owner
            JOIN counter_counter AS counter ON counter.owner_id = owner.id
            WHERE counter.id = %s AND counter.deleted_at IS NULL AND owner.tombstoned_at IS NULL
            FOR KEY SHARE OF owner SKIP LOCKED
            """,
            [counter_id],
        )
        return bool(cursor.rowcount)


def _demand_visible(counter_id: UUID, viewer: Viewer) -> None:
    """Raises CounterNotFound, also for one that is not the viewer's to see."""
    if not visible_counters(viewer).filter(id=counter_id).exists():
        raise CounterNotFound


def list_increments(counter_id: UUID, viewer: Viewer) -> QuerySet[Increment]:
    """The counter's ledger. Raises CounterNotFound."""
    _demand_visible(counter_id, viewer)
    return Increment.objects.filter(counter=counter_id)


def with_key(increments: QuerySet[Any], counter_id: UUID, key: str) -> QuerySet[Any]:
    """The one of this counter's increments that has this key, if there is one."""
    known = Key.objects.filter(digest=key_digest(Value(counter_id, UUIDField()), Value(key)))
    return increments.filter(counter=counter_id, id=Subquery(known.values("increment_id")), key=key)


def in_state(state: str) -> Q:
    """The condition for an increment to be in this state."""
    return {
        Increment.State.PENDING: Q(settled_at=None),
        Increment.State.APPLIED: Q(result__isnull=False),
        Increment.State.REFUSED: Q(settled_at__isnull=False, result=None),
    }[Increment.State(state)]


def get_increment(counter_id: UUID, increment_id: UUID, viewer: Viewer) -> Increment:
    """Raises CounterNotFound and IncrementNotFound."""
    _demand_visible(counter_id, viewer)
    increment = find_increment(counter_id, increment_id)
    if increment is None:
        raise IncrementNotFound
    return increment


def find_increments(keys: Sequence[tuple[UUID, str]]) -> list[Increment]:
    """The increments with these counters and keys, as far as there are any."""
    counter_ids, texts = zip(*keys, strict=True)
    found = "SELECT * FROM counter_find(%s::uuid[], %s::text[])"
    return list(Increment.objects.raw(found, [list(counter_ids), list(texts)]))


def count_set_aside() -> int:
    """How many increments could not be settled and wait for a person."""
    return Pending.objects.filter(set_aside_at__isnull=False).count()


def list_watches() -> dict[int, float]:
    """The slots that a consumer has promised to look at again, and in how many seconds or more."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            SELECT slot, least(extract(epoch FROM until - clock_timestamp())::float8, %s)
            FROM counter_watch
            WHERE until > clock_timestamp()
            """,
            [LONGEST_WATCH_SECONDS],
        )
        return dict(cursor.fetchall())


def find_increment(counter_id: UUID, increment_id: UUID) -> Increment | None:
    return Increment.objects.filter(counter=counter_id, id=increment_id).first()


def find_counter_id(owner_id: UUID, name: str) -> UUID | None:
    """The id of this owner's counter with this name."""
    counters = Counter.objects.filter(owner=owner_id, name=name, deleted_at=None)
    return counters.values_list("id", flat=True).first()


def list_deleted_counters() -> list[UUID]:
    """Counters that were deleted and whose ledger is still to be removed."""
    return list(Counter.objects.exclude(deleted_at=None).values_list("id", flat=True))


def count_pending() -> tuple[int, float]:
    """How many increments are waiting to be settled, and the age of the oldest in seconds.

    Not those that are set aside.
    """
    pending = Pending.objects.filter(set_aside_at=None)
    oldest = pending.aggregate(oldest=Min("accepted_at"))["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    return pending.count(), max(age, 0.0)
