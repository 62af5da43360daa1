"""Auditing: holds every counter against its ledger, and repairs what the ledger can prove.

The ledger is the truth: it is written once and never changed, and it shows itself whether it is
whole. Where it is, the counter has to say what the ledger comes to. Where it is not, nothing
here guesses.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, takewhile
from typing import NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import Count, Exists, OuterRef, QuerySet, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.counter.consumer import LARGEST, LOCK, SMALLEST
from apps.counter.lanes import CONSUMER_LOCK, slot_of
from apps.counter.models import Counter, Entry, Key, Pending, key_digest
from kit.transactions import durable

ALIAS = "counter"
COUNTERS_PER_CHUNK = 500
ENTRIES_PER_CHUNK = 500_000  # a few seconds; a counter that alone has more is a chunk of its own

# One statement, one snapshot: the consumer moves a counter and its ledger in one transaction,
# so it is never seen half-way. In the order of places each entry follows from those before it:
# its place is the next, its time no earlier, its result the sum up to it, or none if that would
# leave the range. PostgreSQL sorts a long ledger on disk.
COMPARE = """
SELECT counter.id, counter.value, counter.entries, counter.settled_at, ledger.*
FROM counter_counter AS counter
JOIN counter_owner AS owner ON owner.id = counter.owner_id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount) FILTER (WHERE result IS NOT NULL), 0),
           count(*),
           max(settled_at),
           min(place) FILTER (WHERE place <> next_place),
           min(place) FILTER (WHERE result IS DISTINCT FROM
               CASE WHEN total BETWEEN %(smallest)s AND %(largest)s THEN total END),
           min(place) FILTER (WHERE settled_at < earlier)
    FROM (
        SELECT amount, place, result, settled_at,
               1 + count(*) OVER before AS next_place,
               amount + coalesce(
                   sum(amount) FILTER (WHERE result IS NOT NULL) OVER before, 0
               )::numeric AS total,
               lag(settled_at) OVER before AS earlier
        FROM counter_entry
        WHERE counter_id = counter.id
        WINDOW before AS (ORDER BY place, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) AS entry
) AS ledger
WHERE counter.id = ANY (%(ids)s) AND counter.deleted_at IS NULL AND owner.tombstoned_at IS NULL
ORDER BY counter.id
"""


class Totals(NamedTuple):
    """What a counter says of itself, or what its ledger comes to."""

    value: int
    entries: int
    settled_at: datetime | None


@dataclass(frozen=True)
class Comparison:
    """A counter and its ledger as they stood in one snapshot.

    A ledger that is not whole has a first place at which it breaks, in up to three ways.
    """

    counter_id: UUID
    counter: Totals
    ledger: Totals
    misplaced_at: int | None  # a place before it is missing, or it is taken twice
    miscounted_at: int | None  # the result is not the sum up to there, or refused without need
    mistimed_at: int | None  # settled before the one before it

    @property
    def is_equal(self) -> bool:
        return self.counter == self.ledger

    @property
    def is_whole(self) -> bool:
        """Whether the ledger is one unbroken walk, and so proves what it comes to."""
        return (self.misplaced_at, self.miscounted_at, self.mistimed_at) == (None, None, None)

    @property
    def is_repairable(self) -> bool:
        return self.is_whole and not self.is_equal


class Stray(NamedTuple):
    """Increments whose counter is missing: so many, in the ledger or in the inbox."""

    counter_id: UUID
    increments: int
    settled: bool


class Unheld(NamedTuple):
    """An increment whose key is not held for it: sent again, it would be accepted again."""

    counter_id: UUID
    key: str


class SetAside(NamedTuple):
    """An increment that was accepted, and that the consumer could not settle."""

    counter_id: UUID
    key: str
    amount: int
    reason: str


def measure_audit() -> int:
    """How many rows `compare_counters` has to look at: counters, and the entries they say."""
    rows = Coalesce(Sum("entries"), Value(0)) + Count("id")
    total: int = _live_counters().aggregate(rows=rows)["rows"]
    return total


def compare_counters() -> Iterator[list[Comparison]]:
    """Every counter that is not going, in chunks of one statement each."""
    chunk = _first_chunk(_live_counters())
    while chunk:
        yield compare(chunk)
        chunk = _first_chunk(_live_counters().filter(id__gt=chunk[-1]))


def compare(counter_ids: Collection[UUID]) -> list[Comparison]:
    """These counters, in the order of their ids and without those that are going."""
    with connections[ALIAS].cursor() as cursor:
        bounds = {"smallest": SMALLEST, "largest": LARGEST}
        cursor.execute(COMPARE, {"ids": list(counter_ids), **bounds})
        return [
            Comparison(row[0], Totals(*row[1:4]), Totals(*row[4:7]), *row[7:])
            for row in cursor.fetchall()
        ]


def repair_counter(counter_id: UUID) -> bool:
    """Set the counter to what its ledger comes to by now. True if it was set.

    False, and nothing is changed, if they are equal, if the ledger is not whole, or if the
    counter is going. Holds the consumer off meanwhile, but nobody who increments.
    """
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute(LOCK, [CONSUMER_LOCK, [slot_of(counter_id)]])
        itself = Counter.objects.filter(id=counter_id)
        list(itself.select_for_update(no_key=True))
        found = compare([counter_id])
        if not any(each.is_repairable for each in found):
            return False
        itself.update(**found[0].ledger._asdict(), updated_at=timezone.now())
    return True


def find_strays() -> Iterator[Stray]:
    """Increments without their counter: the database does not hold the two together."""
    counter = Counter.objects.filter(id=OuterRef("counter_id"))
    for model in (Pending, Entry):
        strays = model._default_manager.filter(~Exists(counter)).values_list("counter_id")
        counted = strays.annotate(Count("key")).order_by("counter_id")
        for counter_id, increments in counted.iterator():
            yield Stray(counter_id, increments, settled=model is Entry)


def find_unheld() -> Iterator[Unheld]:
    """Read in one pass over the keys. A plan that trusts old statistics would begin it for each."""
    digest = key_digest(OuterRef("counter"), OuterRef("key"))
    held = Key.objects.filter(digest=digest, increment_id=OuterRef("id"))
    with durable(ALIAS):
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SET LOCAL enable_nestloop = off")
        for model in (Pending, Entry):
            unheld = model._default_manager.filter(~Exists(held)).order_by("counter", "id")
            for row in unheld.values_list("counter_id", "key").iterator():
                yield Unheld(*row)


def count_keys_left_over() -> int:
    """How many more keys are held than there are increments; fewer, if it is negative."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM counter_key)
                 - (SELECT count(*) FROM counter_pending) - (SELECT count(*) FROM counter_entry)
            """
        )
        [number] = cursor.fetchone()
    return int(number)


def find_set_aside() -> Iterator[SetAside]:
    """Those of counters that are not going."""
    set_aside = Pending.objects.filter(
        set_aside_at__isnull=False, counter__in=_live_counters()
    ).order_by("position")
    rows = set_aside.values_list("counter_id", "key", "amount", "reason")
    return (SetAside(*row) for row in rows.iterator())


def _live_counters() -> QuerySet[Counter]:
    return Counter.objects.filter(deleted_at=None, owner__tombstoned_at=None)


def _first_chunk(counters: QuerySet[Counter]) -> list[UUID]:
    """The first of these by id, as many as make a statement of bearable length."""
    rows = list(counters.order_by("id").values_list("id", "entries")[:COUNTERS_PER_CHUNK])
    entries_so_far = accumulate(entries for _, entries in rows)
    enough = takewhile(lambda sum_: sum_ <= ENTRIES_PER_CHUNK, entries_so_far)
    return [id for id, _ in rows][: max(1, sum(1 for _ in enough))]
