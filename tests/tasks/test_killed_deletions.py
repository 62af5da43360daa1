"""A deletion whose worker is killed again and again, at random moments."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

import psutil
import pytest
from django.db import connections

from apps.counter.models import Increment, Key
from apps.users.models import Deletion
from apps.users.operations.deletions import request_deletion
from kit import holdings
from tasks.doorbells import ring
from tests.clients import anonymous
from tests.people import EVERYWHERE, rows_left, settle
from tests.polling import wait_for
from tests.tasks.conftest import Crew, Worker

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

TODOS, ENTRIES, KILLS = 120_000, 80_000, 30
FEW_TODOS = 3_000
SLOW_ROWS = 0.05  # the share of rows whose deletion takes a millisecond, or the kills came too late
TABLES = [("todos", "todos_todo"), ("counter", "counter_entry")]

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF random() < {share} THEN PERFORM pg_sleep(0.001); END IF; RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION slow();
"""


@contextmanager
def slow_to_delete(alias: str, table: str) -> Iterator[None]:
    with connections[alias].cursor() as cursor:
        cursor.execute(SLOW.format(table=table, share=SLOW_ROWS))
        yield
        cursor.execute("DROP FUNCTION slow CASCADE")


def add_todos(owner_id: UUID, number: int) -> None:
    with connections["todos"].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO todos_todo (id, owner_id, title, content, category, tags, visibility,
                                    created_at, updated_at, version)
            SELECT uuidv7(), %s, 'todo', '', '', '{}', 'private', now(), now(), 1
            FROM generate_series(1, %s)
            """,
            [owner_id, number],
        )


def add_entries(counter_id: UUID, number: int) -> None:
    """Behind those that are there; the counter's own figures are of no concern here."""
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            """
            WITH settled AS (
                INSERT INTO counter_entry (id, counter_id, key, amount, accepted_at, place, result,
                                           settled_at)
                SELECT uuidv7(), %s, 'later ' || n, 1, now(), n, n, now()
                FROM generate_series(10, %s + 9) AS n
                RETURNING id, counter_id, key
            )
            INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM settled
            """,
            [counter_id, number],
        )


def purged(user_id: UUID) -> int:
    """How many rows all apps have counted."""
    owners = (held.owners._default_manager.filter(id=user_id) for held in holdings.registered())
    return sum(number for each in owners for number in each.values_list("purged_rows", flat=True))


def pool_of(worker: Worker) -> list[psutil.Process]:
    return psutil.Process(worker.process.pid).children()


class Killing:
    """Kills whoever works on deletions at random moments: mostly the process that does the work,
    now and then the whole worker, for which another one is started."""

    def __init__(self, crew: Crew, user_id: UUID, app: str) -> None:
        self._crew = crew
        self._user_id = user_id
        self._app = app
        self._worker = crew.worker("background", app=app)
        self.kills = 0

    def kill_soon(self, *, within_rows: int) -> None:
        goal = purged(self._user_id) + random.randint(0, within_rows)  # noqa: S311
        wait_for(f"{goal} rows deleted", lambda: purged(self._user_id) >= goal, seconds=60)
        self.kill()

    def kill(self) -> None:
        if self.kills % 10 == 9:
            self._worker.kill()
            self._worker = self._crew.worker("background", app=self._app)
        else:
            for process in pool_of(self._worker):
                process.kill()
        self.kills += 1
        ring("users.advance_deletions")


class TestKilledWorker:
    @pytest.mark.timeout(300)  # half a minute, where nothing else goes on
    def test_again_and_again_leaves_exact_counts_and_nothing_else_gone(self, crew: Crew) -> None:
        leaver, stayer = settle("leaver"), settle("stayer", rows=50)
        add_todos(leaver.id, TODOS - 5)
        add_entries(leaver.counter_id, ENTRIES - 5)
        crew.schedule()
        killing = Killing(crew, leaver.id, "epis")

        with ExitStack() as slowness:
            for alias, table in TABLES:
                slowness.enter_context(slow_to_delete(alias, table))
            deletion = request_deletion(user_id=leaver.id)
            while killing.kills < KILLS:
                killing.kill_soon(within_rows=(TODOS + ENTRIES) // (KILLS + 5))

            assert Deletion.objects.get().state == "running", "it was over before the last kill"
            wait_until_done(deletion)

        certificate = anonymous().get(f"/api/deletions/{deletion.id}/").json()["certificate"]
        assert certificate["deleted"] == {"todos": TODOS, "counter": ENTRIES + 1}
        assert certificate["orphans"] == 0
        assert rows_left(leaver.id) == {"todos": 0, "counter": 0, "users": 0}
        assert rows_left(stayer.id) == {"todos": 50, "counter": 51, "users": 1}
        held = set(Key.objects.values_list("increment_id", flat=True))
        assert held == set(Increment.objects.values_list("id", flat=True))

    def test_leaves_wrong_counts_where_they_are_written_behind_the_commit(self, crew: Crew) -> None:
        leaver = settle("leaver")
        add_todos(leaver.id, FEW_TODOS - 5)
        crew.schedule()
        killing = Killing(crew, leaver.id, "tests.tasks.careless")

        deletion = request_deletion(user_id=leaver.id)
        wait_for("rows gone and not counted", lambda: uncounted(leaver.id, FEW_TODOS) > 0)
        killing.kill()
        wait_until_done(deletion)

        assert deletion.steps.get(app="todos").deleted < FEW_TODOS


def uncounted(user_id: UUID, todos: int) -> int:
    """How many todos are gone that nobody has counted yet."""
    with connections["todos"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM todos_todo WHERE owner_id = %s", [user_id])
        (left,) = cursor.fetchone()
    owner = holdings.registered()[0].owners._default_manager.get(id=user_id)
    return todos - left - owner.purged_rows


def wait_until_done(deletion: Deletion) -> None:
    def is_done() -> bool:
        return Deletion.objects.get(id=deletion.id).state == "done"

    wait_for("the deletion done", is_done, seconds=120)
