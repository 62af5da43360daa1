"""The cascade, driven by hand: what a worker does, without the worker."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DataError, OperationalError, connection

from apps.todos.models import Owner, Todo
from apps.users import public as users
from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion, User
from apps.users.operations.certificates import verify_deletions
from apps.users.operations.deletions import cancel_deletion, pause_deletion, resume_deletion
from apps.users.queries import get_deletion
from kit import holdings
from tasks import cascade
from tests.cascade.deleting import COUNTED, GONE, counted, delete, state_of, work_until_done
from tests.people import EVERYWHERE, rows_left, settle
from tests.polling import wait_for
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


class TestCascade:
    def test_deletes_everything_of_the_user_and_nothing_else(self) -> None:
        leaver, stayer = settle("leaver"), settle("stayer")

        deletion = delete(leaver)
        work_until_done()

        assert state_of(deletion) == "done"
        assert counted(deletion) == COUNTED
        assert rows_left(leaver.id) == GONE
        assert rows_left(stayer.id) == {**COUNTED, "users": 1}

    def test_deletes_many_together_and_counts_each_for_itself(self) -> None:
        stayer = settle("stayer")
        deletions = {rows: delete(settle(f"leaver{rows}", rows=rows)) for rows in range(4)}

        work_until_done()

        assert {rows: counted(each) for rows, each in deletions.items()} == {
            rows: {"todos": rows, "counter": rows + 1} for rows in range(4)
        }
        assert {state_of(each) for each in deletions.values()} == {"done"}
        assert rows_left(stayer.id) == {**COUNTED, "users": 1}

    @pytest.mark.usefixtures("small_chunks")
    @pytest.mark.parametrize("dies_at", range(1, 20))
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_goes_on_from_wherever_it_died(
        self, monkeypatch: pytest.MonkeyPatch, dies_at: int, when: str
    ) -> None:
        leaver = settle("leaver")
        deletion = delete(leaver)
        steps = die_at(monkeypatch, dies_at, when)

        with pytest.raises(Died):
            work_until_done()
        work_until_done()

        assert steps.taken > dies_at
        assert counted(deletion) == COUNTED
        assert rows_left(leaver.id) == GONE

    @pytest.mark.usefixtures("small_chunks")
    @pytest.mark.parametrize("dies_at", range(1, 15))
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_goes_on_from_wherever_it_died_in_a_round_of_many_turns(
        self, monkeypatch: pytest.MonkeyPatch, dies_at: int, when: str
    ) -> None:
        """Nobody was told of any of them."""
        monkeypatch.setattr(cascade, "ROUND_SECONDS", 60)
        leaver = settle("leaver")
        deletion = delete(leaver)
        steps = die_at(monkeypatch, dies_at, when)

        with pytest.raises(Died):
            work_until_done()
        work_until_done()

        assert steps.taken > dies_at
        assert counted(deletion) == COUNTED
        assert rows_left(leaver.id) == GONE
        assert verify_deletions(deletion_ids=[deletion.id]) == {deletion.id: []}

    @pytest.mark.usefixtures("small_chunks")
    def test_counts_exactly_when_two_workers_advance_it_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(users, "working_alone", lambda: nullcontext(True))
        leaver = settle("leaver", rows=40)
        deletion = delete(leaver)

        race(work_until_done, work_until_done)
        work_until_done()

        assert counted(deletion) == {"todos": 40, "counter": 41}
        assert state_of(deletion) == "done"

    def test_is_left_to_the_worker_that_is_at_it(self) -> None:
        deletion = delete(settle("leaver"))

        with users.working_alone() as alone:
            assert alone
            assert race(cascade.advance_deletions) == [False]
        assert state_of(deletion) == "scheduled"

        assert race(work_until_done) == [None]
        assert state_of(deletion) == "done"

    def test_is_not_forgotten_when_another_worker_had_just_looked_for_the_last_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        citizen, deletions = settle("leaver"), []

        def look_and_be_called_in_vain(self: cascade.Look, *, seconds: float) -> None:
            deletions.append(delete(citizen))
            assert race(cascade.advance_deletions) == [False]

        with monkeypatch.context() as patched:
            patched.setattr(cascade.Look, "work", look_and_be_called_in_vain)
            assert cascade.advance_deletions() is True

        assert cascade.advance_deletions() is False
        assert state_of(deletions[0]) == "done"

    def test_is_taken_over_from_a_worker_that_stands_still(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.users.operations.cascading.IDLE_SECONDS", 0.2)
        deletion = delete(settle("leaver"))

        with pytest.raises(OperationalError), users.working_alone():  # its session was ended
            wait_for(
                "another worker at it",
                lambda: race(work_until_done) and race(partial(state_of, deletion)) == ["done"],
            )
        connection.close()

        assert state_of(deletion) == "done"

    def test_is_not_held_up_by_a_worker_that_could_not_begin(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deletion = delete(settle("leaver"))

        with monkeypatch.context() as broken:
            broken.setattr("apps.users.operations.cascading.IDLE_SECONDS", "no number of ")
            with pytest.raises(DataError):
                cascade.advance_deletions()
        race(work_until_done)

        assert state_of(deletion) == "done"

    @pytest.mark.usefixtures("small_chunks")
    def test_pauses_between_chunks_and_resumes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        leaver = settle("leaver")
        deletion = delete(leaver)
        record_steps = users.record_steps

        def record_and_pause(*, reports: Any) -> None:
            record_steps(reports=reports)
            if any(report.app == "todos" and report.deleted == 2 for report in reports):
                pause_deletion(deletion_id=deletion.id)

        monkeypatch.setattr(users, "record_steps", record_and_pause)
        work_until_done()
        assert counted(deletion)["todos"] == 2
        assert state_of(deletion) == "paused"
        with pytest.raises(WrongDeletionState):
            cancel_deletion(deletion_id=deletion.id)

        resume_deletion(deletion_id=deletion.id)
        work_until_done()

        assert counted(deletion) == COUNTED
        assert state_of(deletion) == "done"

    @pytest.mark.usefixtures("small_chunks")
    def test_goes_on_behind_a_pause_for_no_longer_than_a_round(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By a clock that each chunk puts forward by a tenth of a second."""
        monkeypatch.setattr(cascade, "ROUND_SECONDS", 0.5)
        deletion, chunks = delete(settle("leaver", rows=40)), Steps()

        def pausing(purge_chunk: Callable[..., Any]) -> Callable[..., Any]:
            def pause_and_purge(*owner_ids: Any, **how: Any) -> Any:
                if not chunks.taken:
                    pause_deletion(deletion_id=deletion.id)
                chunks.taken += 1
                return purge_chunk(*owner_ids, **how)

            return pause_and_purge

        clock = SimpleNamespace(monotonic=lambda: chunks.taken / 10)
        monkeypatch.setattr(cascade, "time", clock)
        for held in holdings.registered():
            monkeypatch.setattr(held, "purge_chunk", pausing(held.purge_chunk))
        work_until_done()

        assert state_of(deletion) == "paused"
        assert 1 < chunks.taken <= 6

    def test_takes_in_an_app_that_was_added_after_the_request(self) -> None:
        leaver = settle("leaver")
        deletion = delete(leaver)
        deletion.steps.filter(app="counter").delete()

        work_until_done()

        assert counted(deletion) == COUNTED
        assert state_of(deletion) == "done"

    def test_looks_again_where_the_scan_finds_what_a_step_has_left(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when the todos are put back to a backup while the counters are being deleted."""
        leaver, ended = settle("leaver"), []
        deletion = delete(leaver)
        finish = users.finish_deletions

        def finish_and_look(**subjects: Any) -> None:
            finish(**subjects)
            ended.append(state_of(deletion))

        monkeypatch.setattr(users, "finish_deletions", finish_and_look)
        users.begin_due_deletions(limit=1)
        users.record_steps(reports=[users.StepReport(deletion.id, "todos", 0, 0, done=True)])

        work_until_done()

        assert ended == ["running", "done"]
        assert counted(deletion) == COUNTED
        assert rows_left(leaver.id) == GONE

    @pytest.mark.usefixtures("small_chunks")
    def test_ends_with_what_the_app_counted_that_was_put_back_in_the_middle_of_it(self) -> None:
        """To when there was less to delete than had been deleted by then."""
        leaver = settle("leaver")
        deletion, look = delete(leaver), cascade.Look()
        while counted(deletion)["todos"] < 4:
            look.work_a_round()
        Todo.objects.filter(owner_id=leaver.id).delete()
        Owner.objects.filter(id=leaver.id).update(tombstoned_at=None, purged_rows=0)
        Todo.objects.create(owner_id=leaver.id, title="from the backup")

        work_until_done()

        assert counted(deletion) == {**COUNTED, "todos": 1}
        assert verify_deletions(deletion_ids=[deletion.id]) == {deletion.id: []}

    def test_is_taken_back_by_no_report_that_comes_late(self) -> None:
        deletion, seen = delete(settle("leaver")), []
        users.begin_due_deletions(limit=1)

        for deleted, done in [(3, False), (1, False), (5, True), (4, False)]:
            report = users.StepReport(deletion.id, "todos", deleted, 5, done=done)
            users.record_steps(reports=[report])
            step = get_deletion(deletion.id).steps.get(app="todos")
            seen.append((step.deleted, step.state))

        assert seen == [(3, "running"), (3, "running"), (5, "done"), (5, "done")]

    def test_leaves_a_scheduled_one_alone_until_it_is_due(self, settings: Any) -> None:
        settings.DELETION_GRACE_SECONDS = 3600
        hesitant = settle("hesitant")
        deletion = delete(hesitant)

        work_until_done()
        cancel_deletion(deletion_id=deletion.id)
        work_until_done()

        assert rows_left(hesitant.id) == {**COUNTED, "users": 1}
        assert User.objects.get(id=hesitant.id).closed_at is None

    def test_leaves_a_tombstone_that_tells_no_name(self) -> None:
        leaver = settle("leaver")
        delete(leaver)

        work_until_done()

        for held in holdings.registered():
            owner = held.owners._default_manager.get(id=leaver.id)
            assert (owner.username, owner.tombstoned_at is None) == ("", False)

    @pytest.mark.usefixtures("small_chunks")
    def test_tells_how_much_is_left_and_how_long_it_will_take(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deletion, look = delete(settle("leaver", rows=20)), cascade.Look()
        assert (get_deletion(deletion.id).rows_left, deletion.rows_per_second) == (None, None)

        seen: list[Deletion] = []
        while look.work_a_round():
            seen.append(get_deletion(deletion.id))

        left = [each.rows_left for each in seen if each.rows_left is not None]
        assert left == sorted(left, reverse=True)
        assert (left[0], left[-1]) == (41, 0)
        under_way = [each for each in seen if each.rows_per_second]
        assert len(under_way) > 5
        for each in under_way:
            assert each.rows_left is not None
            assert each.rows_per_second
            assert each.seconds_left == pytest.approx(each.rows_left / each.rows_per_second)


OF_AN_APP = ("entomb", "purge_chunk")


class Died(BaseException):
    """Stands for the process being killed."""


class Steps:
    taken = 0


def die_at(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> Steps:
    """Die once, right before or right after the `number`-th committed step of the cascade."""
    steps = Steps()

    def mortal(step: Callable[..., Any]) -> Callable[..., Any]:
        def take(*args: Any, **kwargs: Any) -> Any:
            steps.taken += 1
            dies = steps.taken == number
            if dies and when == "before":
                raise Died
            answer = step(*args, **kwargs)
            if dies:
                raise Died
            return answer

        return take

    # Of each app, and not of their class: of one that was patched alone, by another test, pytest
    # leaves an attribute of its own behind.
    steps_of_apps = [(held, name) for held in holdings.registered() for name in OF_AN_APP]
    for owner, name in [
        *steps_of_apps,
        (users, "begin_due_deletions"),
        (users, "record_steps"),
        (users, "finish_deletions"),
    ]:
        monkeypatch.setattr(owner, name, mortal(getattr(owner, name)))
    return steps
