"""The consumer: gives every pending increment its place in the order and its result.

One consumer works on a counter at a time. The single-consumer queue of its lane sees to that
for speed; the locks below see to it for good: a second consumer stands by until the first
has committed.
"""

import logging
import time
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections
from django.db.models import DateTimeField, Func, QuerySet
from django.utils import timezone

from apps.counter.lanes import CONSUMER_LOCK, slots_of
from apps.counter.models import Counter, Entry, Pending
from kit.transactions import durable

logger = logging.getLogger(__name__)

ALIAS = "counter"
BATCH_ROWS = 5_000
ONE_BY_ONE_ROWS = 500  # a slow way: the transaction must stay short
BUSY_ROWS = 5  # found by one look, they are a reason to go on looking
WATCH_SECONDS = 0.5
TIDY_ROWS, TIDY_ROWS_IN_THE_END = 20_000, 500
LOOK_SECONDS = 0.05  # between two looks
SMALLEST, LARGEST = -(2**63), 2**63 - 1

# The classes of SQLSTATE in which PostgreSQL says of a row that it cannot take it, and would say
# so again: bad data, a broken constraint, a trigger's refusal, corruption.
POISONED = {"22", "23", "P0", "XX"}


class Positions(NamedTuple):
    """Those from `first` to `last`, both included."""

    first: int = 0
    last: int = LARGEST


ALL = Positions()


class Batch(NamedTuple):
    """How many were settled, and where what comes next may stand."""

    settled: int
    rest: Positions


# Slots are locked in ascending order, so that consumers of different numbers of lanes wait for
# each other and never in a circle. Told is the last position that was given out by then.
#
# The statistics of the inbox are of a moment when it was empty. A plan that trusts them reads all
# of it for each row of a batch, or sorts all of it for each batch, so what is quick for few rows
# only is forbidden to the planner.
LOCK = """
WITH planner AS MATERIALIZED (
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_nestloop', 'off', true),
           set_config('enable_bitmapscan', 'off', true)
)
SELECT pg_advisory_xact_lock(%s, slot), (SELECT last_value FROM counter_pending_position_seq)
FROM planner, unnest(%s::int[]) AS slot
"""

# One statement: it takes the oldest pending increments, gives each the running sum up to
# and including itself, moves them from the inbox to the ledger, and the counters by their sum.
# Sums are numeric, so they cannot overflow; a counter that one of its sums would carry out of
# range is left out and returned, to be settled one by one.
#
# A counter comes first among its increments, at position 0, so that its value needs no join. An
# increment without a counter, which cannot be, would get no place: the ledger would refuse it,
# and it would be set aside.
#
# SKIP LOCKED passes over increments that a purge is deleting at this moment. It would have
# their counter locked already, for which we may be waiting.
#
# The clock is read once all counters are locked: whoever has waited for such a lock knows that
# what is settled later is also timed later. It never goes back within a counter's ledger.
APPLY_BATCH = """
WITH batch AS MATERIALIZED (
    SELECT position, id, counter_id, key, amount, accepted_at
    FROM counter_pending
    WHERE slot = ANY (%(slots)s) AND position BETWEEN %(first)s AND %(last)s
      AND set_aside_at IS NULL
    ORDER BY position
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), standing AS MATERIALIZED (
    SELECT id, value, entries, settled_at
    FROM counter_counter
    WHERE id = ANY (ARRAY(SELECT DISTINCT counter_id FROM batch))
    ORDER BY id
    FOR NO KEY UPDATE
), clock AS MATERIALIZED (
    SELECT clock_timestamp() AS time FROM (SELECT count(*) FROM standing) AS all_are_locked
), gathered AS (
    SELECT id AS counter_id, 0 AS position, value, entries, settled_at,
           NULL::uuid AS id, NULL AS key, 0 AS amount, NULL::timestamptz AS accepted_at
    FROM standing
    UNION ALL
    SELECT counter_id, position, NULL, NULL, NULL, id, key, amount, accepted_at
    FROM batch
), running AS (
    SELECT position, counter_id, id, key, amount, accepted_at,
           first_value(value) OVER in_order::numeric + sum(amount) OVER in_order AS result,
           first_value(entries) OVER in_order + row_number() OVER in_order - 1 AS place,
           greatest(first_value(settled_at) OVER in_order, clock.time) AS settled_at
    FROM gathered CROSS JOIN clock
    WINDOW in_order AS (PARTITION BY counter_id ORDER BY position)
), judged AS MATERIALIZED (
    SELECT *, bool_and(coalesce(result BETWEEN %(smallest)s AND %(largest)s, true))
              OVER (PARTITION BY counter_id) AS in_range
    FROM running
    WHERE position > 0
), total AS (
    SELECT counter_id, sum(amount) AS amount, count(*) AS entries, max(settled_at) AS settled_at
    FROM judged
    WHERE in_range
    GROUP BY counter_id
), moved AS (
    UPDATE counter_counter AS counter
    SET value = counter.value + total.amount, entries = counter.entries + total.entries,
        settled_at = total.settled_at, updated_at = total.settled_at
    FROM total
    WHERE counter.id = total.counter_id
      AND counter.id = ANY (ARRAY(SELECT counter_id FROM total))
), taken AS (
    DELETE FROM counter_pending
    WHERE position = ANY (ARRAY(SELECT position FROM judged WHERE in_range))
), settled AS (
    INSERT INTO counter_entry
        (id, counter_id, key, amount, accepted_at, place, result, settled_at)
    SELECT id, counter_id, key, amount, accepted_at, place, result, settled_at
    FROM judged
    WHERE in_range
    ORDER BY position
)
SELECT count(in_range), array_agg(DISTINCT counter_id) FILTER (WHERE NOT in_range), max(position)
FROM judged
"""


def keep_applying(*, lane: int = 0, lanes: int = 1, seconds: float = 20) -> bool:
    """Apply what is pending in this lane; and if that is more than a few, go on looking for more.

    While it looks it need not be called. True if there may be more.
    """
    slots = slots_of(lane, lanes)
    deadline = time.monotonic() + seconds
    settled = dead = _apply_all(slots, time.monotonic() + WATCH_SECONDS)
    if settled < BUSY_ROWS:
        return False
    while settled:
        if time.monotonic() + WATCH_SECONDS > deadline:
            return True
        until = _promise_to_watch(slots)
        settled = 0
        while time.monotonic() < until:
            settled += _apply_all(slots, until)
            if time.monotonic() < until:  # that look took all there was
                if dead + settled >= TIDY_ROWS:
                    _tidy_inbox()
                    dead = -settled
                time.sleep(LOOK_SECONDS)
        dead += settled
        # The look that was promised: of the next watch, but it may not come to that.
        settled += _apply_all(slots, time.monotonic() + WATCH_SECONDS)
    if dead >= TIDY_ROWS_IN_THE_END:
        _tidy_inbox()
    return False


def apply_pending_increments(*, lane: int = 0, lanes: int = 1, seconds: float = 20) -> bool:
    """Apply batches of this lane until nothing is pending or the time is up.

    True if there may be more.
    """
    deadline = time.monotonic() + seconds
    _apply_all(slots_of(lane, lanes), deadline)
    return time.monotonic() >= deadline


def _tidy_inbox() -> None:
    """Remove what is left of rows that were taken: every look and every read walks over it.

    Autovacuum does so too, but comes by once a minute. Not truncated: for that it would wait for
    everyone who accepts.
    """
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("VACUUM (SKIP_LOCKED, TRUNCATE false, INDEX_CLEANUP true) counter_pending")


def _promise_to_watch(slots: list[int]) -> float:
    """Promise to look again behind a moment. Returns the moment, by `time.monotonic`."""
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO counter_watch (slot, until)
            SELECT slot, clock_timestamp() + make_interval(secs => %s)
            FROM unnest(%s::int[]) AS slot
            ON CONFLICT (slot) DO UPDATE SET until = EXCLUDED.until
            """,
            [WATCH_SECONDS, slots],
        )
    return time.monotonic() + WATCH_SECONDS


def _apply_all(slots: list[int], deadline: float) -> int:
    """Apply batches until nothing is pending or the deadline has come. Returns how many rows.

    An increment that cannot be settled is set aside; it holds up nothing behind it.
    """
    total = 0
    limit, positions = BATCH_ROWS, ALL
    # Closing in on a poisoned one is not broken off: the next look would begin it again.
    while limit < BATCH_ROWS or time.monotonic() < deadline:
        try:
            batch = apply_batch(slots=slots, limit=limit, positions=positions)
        except DatabaseError as error:
            if not _is_poisoned(error):
                raise
            if limit == 1:
                _settle_first_or_set_aside(slots)
            limit = max(1, limit // 2)  # closing in on it
            positions = ALL
        else:
            total += batch.settled
            if batch.settled >= min(limit, ONE_BY_ONE_ROWS):
                positions = batch.rest
            elif positions == ALL:  # that is all there was
                break
            else:
                positions = ALL
            limit = min(BATCH_ROWS, limit * 2)
    return total


def apply_batch(*, slots: list[int], limit: int = BATCH_ROWS, positions: Positions = ALL) -> Batch:
    """Settle up to `limit` pending increments in one transaction.

    The oldest of counters with these slots, and of those that have these positions.

    Of a long backlog the next batch begins where this one ends. At the front what this one took
    still stands in the index, for as long as any transaction might see it, and to walk over that
    each time would slow down with the square of what there is. An increment at a lower position
    may be committed meanwhile, so what is left of the backlog ends with the last position that
    was given out before the first batch looked: whoever was sent behind the acknowledgement of
    that one is further back, and waits for the next batch that begins at the front.
    """
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute(LOCK, [CONSUMER_LOCK, slots])
        _, given_out = cursor.fetchone()
        first, last = positions
        bounds = {"first": first, "last": last, "smallest": SMALLEST, "largest": LARGEST}
        cursor.execute(APPLY_BATCH, {"slots": slots, "limit": limit, **bounds})
        row: tuple[int, list[UUID] | None, int | None] = cursor.fetchone()
        settled, out_of_range, reached = row
        for counter_id in out_of_range or []:
            pending = Pending.objects.filter(counter=counter_id, position__range=(first, last))
            _settle_one_by_one(counter_id, pending, min(limit, ONE_BY_ONE_ROWS))
    if out_of_range or reached is None:  # some of them may be left
        return Batch(settled, ALL)
    return Batch(settled, Positions(reached + 1, min(last, given_out)))


def _settle_one_by_one(counter_id: UUID, pending: QuerySet[Pending], limit: int) -> None:
    """Refuse each increment that would leave the 64-bit range; it holds up nothing.

    The counter is locked already, by the statement that found it out.
    """
    clock = Func(function="clock_timestamp", output_field=DateTimeField())
    counter = Counter.objects.annotate(clock=clock).get(id=counter_id)
    now = max(counter.clock, counter.settled_at or counter.clock)
    waiting = pending.filter(set_aside_at=None).order_by("position")
    taken = list(waiting.select_for_update(skip_locked=True)[:limit])
    entries = []
    for place, each in enumerate(taken, start=counter.entries + 1):
        in_range = SMALLEST <= counter.value + each.amount <= LARGEST
        counter.value += each.amount if in_range else 0
        entries.append(
            Entry(
                id=each.id,
                counter_id=counter_id,
                key=each.key,
                amount=each.amount,
                accepted_at=each.accepted_at,
                place=place,
                result=counter.value if in_range else None,
                settled_at=now,
            )
        )
    Entry.objects.bulk_create(entries)
    Pending.objects.filter(position__in=[each.position for each in taken]).delete()
    counter.entries += len(entries)
    counter.settled_at = counter.updated_at = now
    counter.save(update_fields=["value", "entries", "settled_at", "updated_at"])


def _settle_first_or_set_aside(slots: list[int]) -> None:
    """Set the oldest pending increment aside if it is what cannot be settled."""
    waiting = Pending.objects.filter(slot__in=slots, set_aside_at=None)
    first = waiting.order_by("position").first()
    if first is None:
        return
    try:
        apply_batch(slots=slots, limit=1, positions=Positions(first.position, first.position))
    except DatabaseError as error:
        if not _is_poisoned(error):
            raise
        logger.error(
            "increment %s of counter %s is set aside: %s", first.id, first.counter_id, error
        )
        with durable(ALIAS):
            itself = Pending.objects.filter(position=first.position)
            itself.update(set_aside_at=timezone.now(), reason=str(error))


def _is_poisoned(error: DatabaseError) -> bool:
    return str(getattr(error.__cause__, "sqlstate", ""))[:2] in POISONED
