"""The SQL that knows the counter's tables. All the rest of the benchmark goes by HTTP.

Rows are put in as the counter itself would have left them: a key as random as a client's,
ids in order, the counter's value equal to its ledger.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

Database = psycopg.Connection[Any]
CHUNK_ROWS = 500_000
SLOTS = 64  # as the counter has them

FILL_INBOX = """
WITH accepted AS (
    INSERT INTO counter_pending (id, counter_id, key, amount, slot)
    SELECT uuidv7(), %(counter)s, replace(gen_random_uuid()::text, '-', ''), 1, %(slot)s
    FROM generate_series(1, %(rows)s)
    RETURNING id, counter_id, key
)
INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM accepted
"""

FILL_LEDGER = """
WITH settled AS (
    INSERT INTO counter_entry
        (id, counter_id, key, amount, accepted_at, place, result, settled_at)
    SELECT uuidv7(-age), %(counter)s,
           replace(gen_random_uuid()::text, '-', ''), 1,
           now() - age, place, place, now() - age + interval '10 ms'
    FROM generate_series(%(first)s::bigint, %(last)s) AS place,
         LATERAL (SELECT make_interval(secs => (%(rows)s - place) * 0.1 + 60) AS age) AS aged
    RETURNING id, counter_id, key
)
INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM settled
"""


def value(database: Database, counter: UUID) -> int:
    """How much is applied."""
    return int(_one(database, "SELECT value FROM counter_counter WHERE id = %s", counter))


def pending(database: Database, counter: UUID) -> int:
    """How many increments are accepted and not yet settled."""
    query = "SELECT count(*) FROM counter_pending WHERE counter_id = %s"
    return int(_one(database, query, counter))


def fill_inbox(database: Database, counter: UUID, rows: int) -> None:
    """Accept so many increments at once: they appear to the consumer at the same moment."""
    database.execute(FILL_INBOX, {"counter": counter, "slot": counter.int % SLOTS, "rows": rows})


def fill_ledger(
    database: Database, counter: UUID, rows: int, progress: Callable[[int], None]
) -> None:
    """Make it a counter to which so many increments of one were applied, and nothing else."""
    empty(database, counter)
    # The digests' index is made in the end, no fuller than it would have grown: they are random,
    # and beyond some millions each would write a page of it to the log.
    database.execute("ALTER TABLE counter_key DROP CONSTRAINT counter_key_pkey")
    for first in range(1, rows + 1, CHUNK_ROWS):
        last = min(first + CHUNK_ROWS - 1, rows)
        numbers = {"first": first, "last": last, "rows": rows}
        database.execute(FILL_LEDGER, {"counter": counter, **numbers})
        progress(last)
    database.execute("ALTER TABLE counter_key ADD PRIMARY KEY (digest) WITH (fillfactor = 70)")
    _set_value(database, counter, rows)
    database.execute("VACUUM (ANALYZE, FREEZE) counter_entry, counter_key")
    database.execute("CHECKPOINT")


def empty(database: Database, counter: UUID) -> None:
    """Make it a counter to which nothing was ever applied."""
    database.execute("TRUNCATE counter_entry, counter_pending, counter_key")
    _set_value(database, counter, 0)


def _set_value(database: Database, counter: UUID, to: int) -> None:
    database.execute(
        "UPDATE counter_counter SET value = %s, entries = %s WHERE id = %s", [to, to, counter]
    )


def is_one_sequence(database: Database, counter: UUID) -> bool:
    """Whether the results of all increments, each of one, are 1 to the value, each once."""
    row = database.execute(
        """
        SELECT value, count(result), count(DISTINCT result), coalesce(min(result), 1),
               coalesce(max(result), 0), coalesce(sum(amount), 0)
        FROM counter_counter LEFT JOIN counter_entry ON counter_id = counter_counter.id
        WHERE counter_counter.id = %s
        GROUP BY value
        """,
        [counter],
    ).fetchone()
    assert row is not None  # noqa: S101 - for the type checker: the counter is ours  # nosec B101
    total, results, distinct, first, last, amount = row
    return bool(total == results == distinct == last == amount and first == 1)


def latencies_ms(
    database: Database, counter: UUID, since: datetime, quantiles: list[float]
) -> list[float]:
    """From accepted to applied, of what was accepted since then: these quantiles."""
    row = _one(
        database,
        """
        SELECT percentile_cont(%s) WITHIN GROUP
               (ORDER BY extract(epoch FROM settled_at - accepted_at)::float8 * 1000)
        FROM counter_entry WHERE counter_id = %s AND accepted_at >= %s
        """,
        quantiles,
        counter,
        since,
    )
    return [float(each) for each in row]


def now(database: Database) -> datetime:
    moment: datetime = _one(database, "SELECT now()")
    return moment


def _one(database: Database, query: str, *parameters: object) -> Any:
    row = database.execute(query, parameters).fetchone()
    return row[0] if row else None
