"""What accepting reads, where statistics are of a time when the tables were empty."""

from uuid import UUID

import pytest
from django.db import connections

from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.users.models import User
from kit.directory import Viewer
from tests.counter.interleaving import rewritten

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

ROWS = 5_000
ASKED = 50
TABLES = ["counter_pending", "counter_entry", "counter_counter", "counter_owner"]
FILL = """
TRUNCATE counter_pending, counter_entry;
ANALYZE counter_pending, counter_entry;
INSERT INTO counter_entry (id, counter_id, key, amount, accepted_at, place, result, settled_at)
SELECT gen_random_uuid(), %(counter)s::uuid, 'old-' || n, 1, now(), n, n, now()
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO counter_pending (id, counter_id, key, amount, slot)
SELECT gen_random_uuid(), %(counter)s::uuid, 'waiting-' || n, 1, 0
FROM generate_series(1, %(rows)s) AS n;
"""
READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
FROM pg_stat_user_tables WHERE relname = ANY (%s)
"""


def fill(counter_id: UUID) -> None:
    for statement in FILL.strip().split(";\n"):
        with connections["counter"].cursor() as cursor:
            cursor.execute(statement.strip(";\n"), {"counter": counter_id, "rows": ROWS})


def rows_read_so_far() -> int:
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(READ, [TABLES])
        [read] = cursor.fetchone()
    return int(read)


def rows_read_for(owner: User, counter_id: UUID, number: int) -> int:
    """How many rows are read to accept so many increments, half of them known already."""
    before = rows_read_so_far()
    new = [(1, f"{number}-{n}") for n in range(ASKED)]
    known = [(1, f"old-{number * ASKED + n}") for n in range(1, ASKED + 1)]
    receipts = accept_increments(
        counter_id=counter_id, viewer=Viewer(owner.id), increments=new + known
    )
    assert [receipt.is_new for receipt in receipts] == [True] * ASKED + [False] * ASKED
    return rows_read_so_far() - before


@pytest.fixture
def stale(ada: User, tally: UUID) -> None:
    counter.apply_pending_increments()
    fill(tally)


class TestAccepting:
    @pytest.mark.usefixtures("stale")
    def test_reads_what_is_asked_for_and_no_more(self, ada: User, tally: UUID) -> None:
        """Also once the plans are made for good, which is behind the fifth time."""
        read = [rows_read_for(ada, tally, number) for number in range(8)]

        assert max(read) < 10 * ASKED

    @pytest.mark.usefixtures("stale")
    def test_would_read_all_if_the_planner_had_a_choice(self, ada: User, tally: UUID) -> None:
        with rewritten("LIMIT 1", ""):
            assert rows_read_for(ada, tally, 1) > ROWS
