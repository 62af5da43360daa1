"""The consumer: gives every pending increment its place in the order and its result.

One consumer works at a time. The single-consumer queue sees to that for speed; the lock
below sees to it for good: a second consumer stands by until the first has committed.
"""

import time
from uuid import UUID

from django.db import connections
from django.utils import timezone

from apps.counter.models import Counter, Increment
from kit.transactions import durable

ALIAS = "counter"
BATCH_ROWS = 5_000
ONE_BY_ONE_ROWS = 500  # a slow way: the transaction must stay short
CONSUMER_LOCK = 0x65706973  # "epis": the key of the advisory lock
SMALLEST, LARGEST = -(2**63), 2**63 - 1

# One statement: it takes the oldest pending increments, gives each the running sum up to
# and including itself, and moves the counters by the batch's total. Sums are numeric, so
# they cannot overflow; a counter that one of its sums would carry out of range is left out
# and returned, to be settled one by one.
#
# SKIP LOCKED passes over increments that a purge is deleting at this moment. It would have
# their counter locked already, for which we may be waiting.
APPLY_BATCH = """
WITH batch AS MATERIALIZED (
    SELECT id, counter_id, amount
    FROM counter_increment
    WHERE settled_at IS NULL
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), running AS (
    SELECT batch.id, batch.counter_id, batch.amount,
           counter.value::numeric + sum(batch.amount) OVER (
               PARTITION BY batch.counter_id ORDER BY batch.id
           ) AS result
    FROM batch JOIN counter_counter AS counter ON counter.id = batch.counter_id
), total AS (
    SELECT counter_id, sum(amount) AS amount,
           bool_and(result BETWEEN %(smallest)s AND %(largest)s) AS in_range
    FROM running
    GROUP BY counter_id
), moved AS (
    UPDATE counter_counter AS counter
    SET value = counter.value + total.amount, updated_at = %(now)s
    FROM total
    WHERE counter.id = total.counter_id AND total.in_range
), settled AS (
    UPDATE counter_increment AS increment
    SET result = running.result, settled_at = %(now)s
    FROM running JOIN total USING (counter_id)
    WHERE increment.id = running.id AND total.in_range
)
SELECT (SELECT count(*) FROM batch),
       ARRAY(SELECT counter_id FROM total WHERE NOT in_range)
"""


def apply_pending_increments(*, seconds: float = 20) -> bool:
    """Apply batches until nothing is pending or the time is up. True if there may be more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if apply_batch() == 0:
            return False
    return True


def apply_batch(*, limit: int = BATCH_ROWS) -> int:
    """Settle up to `limit` pending increments in one transaction; returns how many."""
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CONSUMER_LOCK])
        bounds = {"smallest": SMALLEST, "largest": LARGEST}
        cursor.execute(APPLY_BATCH, {"limit": limit, "now": timezone.now(), **bounds})
        row: tuple[int, list[UUID]] = cursor.fetchone()
        settled, out_of_range = row
        for counter_id in out_of_range:
            _settle_one_by_one(counter_id, min(limit, ONE_BY_ONE_ROWS))
    return settled


def _settle_one_by_one(counter_id: UUID, limit: int) -> None:
    """Refuse each increment that would leave the 64-bit range; it holds up nothing."""
    counter = Counter.objects.select_for_update(no_key=True).get(id=counter_id)
    pending = Increment.objects.filter(counter=counter, settled_at=None).order_by("id")
    now = timezone.now()
    increments = list(pending.select_for_update(skip_locked=True)[:limit])
    for increment in increments:
        increment.settled_at = now
        if SMALLEST <= counter.value + increment.amount <= LARGEST:
            counter.value += increment.amount
            increment.result = counter.value
    Increment.objects.bulk_update(increments, ["result", "settled_at"])
    counter.save(update_fields=["value", "updated_at"])
