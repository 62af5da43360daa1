"""What is read to find the deletions that are due, where statistics are of before they were."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from celery import states
from django.db import connections
from django.db.models import QuerySet
from django.utils import timezone

from apps.users import queries
from apps.users.models import DeletionStep
from epis.celery import leave_nothing_behind

pytestmark = pytest.mark.django_db(transaction=True)

APPS = ["todos", "counter"]
ENDED, OPEN = 2_000, 1_000
LOOKS = 12  # behind the fifth a statement is prepared, and behind five more planned for good
TABLES = ["users_deletion", "users_deletionstep"]
FILL = """
WITH deletion AS (
    INSERT INTO users_deletion (id, user_id, state, requested_at, starts_at, finished_at)
    SELECT gen_random_uuid(), gen_random_uuid(), %(deletion)s, now(), now(), now()
    FROM generate_series(1, %(number)s)
    RETURNING id
)
INSERT INTO users_deletionstep (deletion_id, app, state, deleted, next_at, failures, last_error)
SELECT id, app, %(step)s, 0, now(), 0, '' FROM deletion CROSS JOIN unnest(%(apps)s::text[]) AS app
"""
# Fetched from a table, or passed in an index: what a filter throws away counts.
READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))
FROM pg_stat_user_tables WHERE relname = ANY (%(tables)s)
"""


def execute(statement: str, **parameters: object) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(statement, parameters or None)


def fill(number: int, deletion: str, step: str) -> None:
    execute(FILL, number=number, deletion=deletion, step=step, apps=APPS)


def rows_read_so_far() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(READ, {"tables": TABLES})
        [read] = cursor.fetchone()
    return int(read)


def rows_read_for(look: Callable[[], object]) -> int:
    before = rows_read_so_far()
    look()
    return rows_read_so_far() - before


def list_due_steps() -> None:
    queries.list_due_steps(apps=APPS, limit=500)


@pytest.fixture
def statistics_as_they_are() -> Iterator[None]:
    for table in TABLES:
        execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    yield
    for table in TABLES:
        execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")


@pytest.fixture
def many_at_once(statistics_as_they_are: None) -> None:
    """All of a sudden; until then nothing had been open for long."""
    fill(ENDED, "done", "done")
    execute("ANALYZE users_deletion, users_deletionstep")
    fill(OPEN, "running", "pending")


@pytest.fixture
def none_yet(statistics_as_they_are: None) -> None:
    """As in a database that was put back and analyzed."""
    for table in TABLES:
        execute(f"VACUUM ANALYZE {table}")


@pytest.mark.usefixtures("many_at_once")
class TestFindingWhatIsDue:
    def test_reads_no_more_than_each_step_and_its_deletion(self) -> None:
        """Also once the plans are made for good, which is behind the fifth time."""
        for _ in range(7):
            assert rows_read_for(list_due_steps) < 4 * len(APPS) * OPEN

    def test_would_read_all_deletions_for_each_step_by_a_join(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def join(apps: list[str]) -> QuerySet[DeletionStep]:
            due = DeletionStep.objects.filter(state__in=DeletionStep.UNDONE, app__in=apps)
            return due.filter(deletion__state="running", next_at__lte=timezone.now())

        monkeypatch.setattr(queries, "_due_steps", join)

        assert rows_read_for(list_due_steps) > OPEN**2

    @pytest.mark.parametrize(
        "look",
        [
            queries.count_open_deletions,
            partial(queries.is_anything_due, apps=APPS),
            partial(queries.list_paused_steps, "todos"),
            partial(queries.list_worked_off, limit=500),
        ],
    )
    def test_is_no_more_than_a_few_passes_whatever_is_asked(
        self, look: Callable[[], object]
    ) -> None:
        for _ in range(7):
            assert rows_read_for(look) < 6 * (ENDED + len(APPS) * OPEN)

    def test_looks_for_those_that_are_worked_off_in_one_pass(self) -> None:
        execute("UPDATE users_deletionstep SET state = 'done'")

        assert rows_read_for(lambda: queries.list_worked_off(limit=500)) <= 4 * (ENDED + OPEN)


@pytest.mark.usefixtures("none_yet")
class TestPlans:
    def test_are_of_one_task(self) -> None:
        for _ in range(LOOKS):
            list_due_steps()
        leave_nothing_behind(state=states.SUCCESS)
        fill(OPEN, "running", "pending")

        assert rows_read_for(list_due_steps) < 4 * len(APPS) * OPEN

    def test_of_the_task_before_would_read_all_deletions_for_each_step(self) -> None:
        for _ in range(LOOKS):
            list_due_steps()
        fill(OPEN, "running", "pending")

        assert rows_read_for(list_due_steps) > OPEN**2
