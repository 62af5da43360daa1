"""What accepting reads, where statistics are of a time when the inbox was empty."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.auditing import find_unheld
from apps.counter.consumer import apply_batch
from apps.counter.lanes import slots_of
from apps.counter.queries import get_counter
from apps.users.models import User
from kit.directory import Viewer
from tests.counter.interleaving import rewritten

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

ROWS = 5_000
ASKED = 50
FIRST_BACKLOG, BATCH = 50_000, 1_000
BURST = 1_000
OF_INCREMENTS = ["counter_key", "counter_pending", "counter_entry"]
TABLES = [*OF_INCREMENTS, "counter_counter", "counter_owner"]
FILL_LEDGER = """
WITH filled AS (
    INSERT INTO counter_entry (id, counter_id, key, amount, accepted_at, place, result, settled_at)
    SELECT gen_random_uuid(), %s::uuid, 'settled-' || n, 1, now(), 1000 + n, 1000 + n, now()
    FROM generate_series(1, %s) AS n
    RETURNING id, counter_id, key
)
INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM filled
"""
FILL_INBOX = """
WITH filled AS (
    INSERT INTO counter_pending (id, counter_id, key, amount, slot)
    SELECT gen_random_uuid(), %s::uuid, 'pending-' || n, 1, 0
    FROM generate_series(1, %s) AS n
    RETURNING id, counter_id, key
)
INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM filled
"""
FORGET_STATISTICS = """
SELECT pg_clear_attribute_stats('public', relname::text, attname::text, false)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relname = ANY (%s) AND attnum > 0
"""
SAY_EMPTY = """
SELECT pg_restore_relation_stats(
    'schemaname', 'public', 'relname', relname, 'relpages', 10, 'reltuples', 0::real
)
FROM unnest(%s::text[]) AS relname
"""
# Fetched from a table, or passed in an index: what a filter throws away counts.
READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
FROM pg_stat_user_tables WHERE relname = ANY (%s)
"""
LOOKED_AT = """
SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'counter_pending'
"""


def execute(statement: str, *parameters: object) -> None:
    with connections["counter"].cursor() as cursor:
        cursor.execute(statement, parameters)


def rows_read_so_far() -> int:
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(READ, [TABLES])
        [read] = cursor.fetchone()
    return int(read)


def rows_read_for(owner: User, counter_id: UUID, number: int) -> int:
    """How many rows are read to accept so many that are new, pending and settled."""
    before = rows_read_so_far()
    numbers = range(number * ASKED + 1, (number + 1) * ASKED + 1)
    kinds = ("new", "pending", "settled")
    receipts = accept_increments(
        counter_id=counter_id,
        viewer=Viewer(owner.id),
        increments=[(1, f"{kind}-{n}") for kind in kinds for n in numbers],
    )
    assert [receipt.is_new for receipt in receipts] == [True] * ASKED + [False] * 2 * ASKED
    return rows_read_so_far() - before


@pytest.fixture(autouse=True)
def no_statistics() -> Iterator[None]:
    """What was learned in an earlier test is forgotten: emptying a table does not do that.

    And the server's own vacuum is kept from learning anything new.
    """
    execute(FORGET_STATISTICS, OF_INCREMENTS)
    for table in OF_INCREMENTS:
        execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    yield
    for table in OF_INCREMENTS:
        execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")


@pytest.fixture
def backlog(ada: User, tally: UUID) -> None:
    """Many are pending and many settled, and the last vacuum of either was when there was none."""
    execute(FILL_LEDGER, tally, ROWS)
    execute(FILL_INBOX, tally, ROWS)
    execute(SAY_EMPTY, OF_INCREMENTS)


@pytest.fixture
def first_backlog(tally: UUID) -> None:
    """Of an inbox that was never vacuumed, of which the planner knows its size and nothing else."""
    execute("TRUNCATE counter_pending")
    execute(FILL_INBOX, tally, FIRST_BACKLOG)


@pytest.fixture
def burst(tally: UUID) -> None:
    """Too little for the consumer to tidy up in the middle of it."""
    execute(FILL_INBOX, tally, BURST)


class TestAccepting:
    @pytest.mark.usefixtures("backlog")
    def test_reads_what_is_asked_for_and_no_more(self, ada: User, tally: UUID) -> None:
        """Also once the plans are made for good, which is behind the fifth time."""
        read = [rows_read_for(ada, tally, number) for number in range(8)]

        assert max(read) < 20 * ASKED

    @pytest.mark.usefixtures("backlog")
    @pytest.mark.parametrize(
        "choice",
        [
            "counter_key_digest(asked.counter_id, asked.key)\n        LIMIT 1",
            "key = asked.key\n        LIMIT 1",
        ],
    )
    def test_would_read_all_there_is_if_the_planner_had_a_choice(
        self, ada: User, tally: UUID, choice: str
    ) -> None:
        with rewritten(choice, choice.removesuffix("LIMIT 1")):
            assert rows_read_for(ada, tally, 1) > ROWS


class TestReading:
    """A counter: how much of it is pending is read with the value."""

    @pytest.mark.usefixtures("burst")
    def test_behind_a_burst_walks_over_nothing_of_it(self, ada: User, tally: UUID) -> None:
        counter.keep_applying()

        assert self.places_looked_at(ada, tally) < 10

    @pytest.mark.usefixtures("burst")
    def test_would_walk_over_all_of_it_if_it_were_not_tidied_up(
        self, ada: User, tally: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.counter.consumer._tidy_inbox", lambda: None)
        counter.keep_applying()

        assert self.places_looked_at(ada, tally) >= BURST

    def places_looked_at(self, owner: User, counter_id: UUID) -> int:
        """In the inbox, to read the counter once."""
        before = self.places_so_far()
        assert get_counter(counter_id, Viewer(owner.id)).value == BURST
        return self.places_so_far() - before

    def places_so_far(self) -> int:
        with connections["counter"].cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute(LOOKED_AT)
            [places] = cursor.fetchone()
        return int(places)


class TestApplying:
    @pytest.mark.parametrize("inbox", ["backlog", "first_backlog"])
    def test_reads_a_batch_and_not_all_that_is_pending(
        self, request: pytest.FixtureRequest, inbox: str
    ) -> None:
        request.getfixturevalue(inbox)

        assert max(self.rows_read_for_batches()) < 3 * BATCH

    @pytest.mark.usefixtures("first_backlog")
    def test_would_read_and_sort_all_of_it_each_time_if_the_planner_had_a_choice(self) -> None:
        with rewritten("'enable_bitmapscan', 'off'", "'enable_bitmapscan', 'on'"):
            assert min(self.rows_read_for_batches()) > FIRST_BACKLOG / 2

    def rows_read_for_batches(self) -> list[int]:
        reads = []
        for _ in range(4):
            before = rows_read_so_far()
            assert apply_batch(slots=slots_of(0, 1), limit=BATCH).settled == BATCH
            reads.append(rows_read_so_far() - before)
        return reads


class TestAuditing:
    """Whether every key is held: where it looks as if there were none."""

    @pytest.fixture(autouse=True)
    def some(self, tally: UUID) -> None:
        execute(FILL_LEDGER, tally, BURST)
        execute(FILL_INBOX, tally, BURST)
        execute(SAY_EMPTY, OF_INCREMENTS)

    def test_reads_all_keys_once_and_not_for_each_increment(self) -> None:
        assert self.rows_read() < 7 * BURST

    def test_would_read_them_for_each_if_the_planner_had_a_choice(self) -> None:
        with rewritten("SET LOCAL enable_nestloop = off", "SET LOCAL enable_material = off"):
            assert self.rows_read() > BURST * BURST

    def rows_read(self) -> int:
        before = rows_read_so_far()
        assert list(find_unheld()) == []
        return rows_read_so_far() - before
