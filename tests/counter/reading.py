"""A ledger that is long, and how much of it a statement reads."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections

ALIAS = "counter"

INSERT = """
WITH settled AS (
    INSERT INTO counter_entry (id, counter_id, key, amount, accepted_at, place, result, settled_at)
    SELECT gen_random_uuid(), %s::uuid, 'key-' || place, 1, %s::timestamptz, place, place,
           %s::timestamptz
    FROM generate_series(%s::bigint, %s::bigint) AS place
    RETURNING id, counter_id, key
)
INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM settled
"""


def fill_ledger(counter_id: UUID, now: datetime, ages: dict[timedelta, int]) -> None:
    """Put so many entries of 1 into an empty ledger as if settled so long before `now`."""
    place = 0
    with connections[ALIAS].cursor() as cursor:
        for age in sorted(ages, reverse=True):
            first, place = place + 1, place + ages[age]
            cursor.execute(INSERT, [counter_id, now - age, now - age, first, place])
        cursor.execute("ANALYZE counter_entry, counter_pending, counter_key")


def rows_read(queries: Iterable[dict[str, str]]) -> int:
    """How many rows of keys, inbox and ledger these statements read, executed once more."""
    with connections[ALIAS].cursor() as cursor:
        plans = []
        for query in queries:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
            [[explained]] = cursor.fetchall()
            plans += [each["Plan"] for each in explained]
    return sum(_rows_read(plan) for plan in plans)


def _rows_read(node: dict[str, Any]) -> int:
    below = sum(_rows_read(each) for each in node.get("Plans", []))
    if node.get("Relation Name") not in ("counter_entry", "counter_pending", "counter_key"):
        return below
    passed_over = node.get("Rows Removed by Filter", 0)
    return below + round((node["Actual Rows"] + passed_over) * node["Actual Loops"])
