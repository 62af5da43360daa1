"""Many deletions at once: nobody waits for one that is huge, and chunks keep to their time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.counter.owners import COUNTERS
from apps.todos.models import Todo
from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.models import Deletion, DeletionStep
from apps.users.operations.cascading import RECORD, record_steps
from apps.users.public import StepReport
from kit.holdings import Chunk
from tasks import cascade
from tasks.cascade import CHUNK_SECONDS, MOST_ROWS, Look, Pace
from tests.cascade.deleting import counted, delete, state_of
from tests.people import EVERYWHERE, Citizen, settle

HUGE_ROWS = 400


def settle_with_many(username: str, rows: int) -> Citizen:
    citizen = settle(username, rows=1)
    todos = [Todo(owner_id=citizen.id, title=f"todo {number}") for number in range(rows - 1)]
    Todo.objects.bulk_create(todos)
    return citizen


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestFairness:
    @pytest.mark.usefixtures("small_chunks")
    def test_has_small_ones_done_long_before_a_huge_one(self) -> None:
        huge = delete(settle_with_many("huge", HUGE_ROWS))
        small = [delete(settle(f"small{number}", rows=3)) for number in range(9)]
        look = Look()

        while not all(state_of(each) == "done" for each in small):
            assert look.work_a_round()

        assert state_of(huge) == "running"
        assert counted(huge)["todos"] < HUGE_ROWS / 10

    @pytest.mark.usefixtures("small_chunks")
    def test_has_them_done_late_where_a_step_is_not_put_at_the_end_of_the_queue(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A round that has time for one chunk only, and who is first stays first."""
        monkeypatch.setattr(cascade, "ROUND_SECONDS", -1)
        monkeypatch.setattr("apps.users.operations.cascading.RECORD", NEVER_AT_THE_END_OF_THE_QUEUE)
        huge = delete(settle_with_many("huge", HUGE_ROWS))
        small = delete(settle("small", rows=3))
        look = Look()

        for _ in range(100):
            look.work_a_round()

        assert (counted(huge)["todos"] > 0, counted(small)) == (True, {"todos": 0, "counter": 0})

    def test_lets_everybody_have_a_turn_where_a_round_has_time_for_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cascade, "ROUND_SECONDS", -1)
        deletions = [delete(settle(f"one of many {number}")) for number in range(3)]
        monkeypatch.setattr(cascade, "MOST_DELETIONS", 1)
        look = Look()

        while look.work_a_round():
            pass

        assert {state_of(each) for each in deletions} == {"done"}

    def test_goes_on_with_those_that_were_counted_while_others_are_being_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever is new shares their turn, and does not take it."""
        monkeypatch.setattr(cascade, "ROUND_SECONDS", -1)
        first, look = delete(settle("first")), Look()
        look.work_a_round()
        assert counted(first)["todos"] == 0

        second = delete(settle("second"))
        long_ago = timezone.now() - timedelta(hours=1)
        DeletionStep.objects.filter(deletion=second, app="todos").update(next_at=long_ago)
        look.work_a_round()

        assert counted(first)["todos"] == 5
        assert DeletionStep.objects.get(deletion=second, app="todos").total == 5

    @pytest.mark.usefixtures("small_chunks")
    def test_has_a_small_one_done_where_a_round_has_not_even_time_for_all_that_are_huge(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cascade, "ROUND_SECONDS", -1)
        huge = [delete(settle_with_many(f"huge{number}", 50)) for number in range(6)]
        look = Look()
        for _ in range(12):
            look.work_a_round()
        small = delete(settle("small", rows=1))

        rounds = 0
        while state_of(small) != "done" and rounds < 60:
            look.work_a_round()
            rounds += 1

        assert state_of(small) == "done"
        assert {state_of(each) for each in huge} == {"running"}

    def test_takes_together_what_fits_with_the_pace_that_was_learned_meanwhile(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each has more rows than the first chunk may have, and a tenth of those of the second."""
        purge, taken = TODOS.purge_chunk, []

        def purge_chunk(*owner_ids: UUID, **how: Any) -> Chunk:
            taken.append(len(owner_ids))
            return replace(purge(*owner_ids, **how), seconds=0.001)

        monkeypatch.setattr(TODOS, "purge_chunk", purge_chunk)
        for number in range(12):
            delete(settle_with_many(f"one of many {number}", 5))
        look = Look(paces=defaultdict(partial(Pace, rows=4)))

        look.work_a_round()

        assert cascade.FEWEST_ROWS == 50
        assert taken == [1, 10, 1, 1]  # the last is what was left of the first

    def test_tells_of_all_the_turns_of_a_round_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """But for what it has counted, which may have taken long."""
        told: list[list[int]] = []

        def record(*, reports: Sequence[StepReport]) -> None:
            told.append([report.deleted for report in reports if report.app == "todos"])
            record_steps(reports=reports)

        monkeypatch.setattr(users, "record_steps", record)
        deletion = delete(settle_with_many("leaver", 50))
        Look(paces=defaultdict(partial(Pace, rows=4))).work_a_round()

        assert [each for each in told if each] == [[0], [50]]
        assert state_of(deletion) == "done"

    def test_tells_at_once_of_a_step_that_has_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not behind the other step's turn."""
        deletion, purge = delete(settle("leaver")), COUNTERS.purge_chunk
        known = []

        def purge_chunk(*owner_ids: UUID, **how: Any) -> Chunk:
            known.append(DeletionStep.objects.get(deletion=deletion, app="todos").state)
            return purge(*owner_ids, **how)

        monkeypatch.setattr(COUNTERS, "purge_chunk", purge_chunk)
        Look().work_a_round()

        assert set(known) == {"done"}

    def test_takes_many_small_ones_together(self) -> None:
        for number in range(20):
            delete(settle(f"small{number}", rows=2))
        look, rounds = Look(), 0

        while look.work_a_round():
            rounds += 1

        assert rounds <= 5
        assert Deletion.objects.filter(state="done").count() == 20


NEVER_AT_THE_END_OF_THE_QUEUE = RECORD.replace(
    "next_at = clock_timestamp()", "next_at = recorded.next_at"
)


def chunk_of(rows: int, seconds: float) -> Chunk:
    return Chunk(rows=rows, seconds=seconds)


class TestPace:
    def test_comes_to_as_many_rows_as_take_the_time_that_a_chunk_may(self) -> None:
        pace, per_second = Pace(), 40_000

        for _ in range(10):
            pace.learn(chunk_of(pace.rows, pace.rows / per_second))

        assert pace.rows == pytest.approx(per_second * CHUNK_SECONDS, rel=0.01)

    def test_goes_down_at_once_where_the_database_is_slow(self) -> None:
        pace = Pace(rows=8_000)

        pace.learn(chunk_of(8_000, 10 * CHUNK_SECONDS))

        assert pace.rows == 2_000

    def test_learns_nothing_from_a_small_chunk_that_was_quick(self) -> None:
        pace = Pace(rows=8_000)

        pace.learn(chunk_of(3, 0.001))

        assert pace.rows == 8_000

    def test_has_bounds(self) -> None:
        fast, slow = Pace(), Pace()

        for _ in range(20):
            fast.learn(chunk_of(fast.rows, 0))
            slow.learn(chunk_of(slow.rows, 60))

        assert (fast.rows, slow.rows) == (MOST_ROWS, cascade.FEWEST_ROWS)
