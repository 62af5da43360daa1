"""Steps that fail: tried again after growing pauses, said so, and nobody else is held up."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.models import Deletion, DeletionStep
from apps.users.operations import cascading
from apps.users.operations.deletions import retry_deletion
from apps.users.public import StepReport
from kit.holdings import Holdings
from tasks import cascade
from tasks.cascade import Look, Pace
from tests.cascade.deleting import COUNTED, counted, delete, state_of, work_until_done
from tests.people import EVERYWHERE, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

BROKEN = "could not write block: No space left on device"
HOLD = "SELECT FROM users_deletionstep WHERE deletion_id = %s AND app = 'todos' FOR UPDATE"


def fail_for(monkeypatch: pytest.MonkeyPatch, held: Holdings, *unlucky: Any) -> None:
    """Purging any of these raises, as a trigger or a broken index would have it."""
    purge_chunk = held.purge_chunk

    def purge_some(*owner_ids: Any, **how: Any) -> Any:
        if not set(unlucky).isdisjoint(owner_ids):
            raise OperationalError(BROKEN)
        return purge_chunk(*owner_ids, **how)

    monkeypatch.setattr(held, "purge_chunk", purge_some)


def step_of(deletion: Deletion, app: str) -> DeletionStep:
    return DeletionStep.objects.get(deletion=deletion, app=app)


def let_pauses_pass() -> None:
    DeletionStep.objects.update(next_at=timezone.now())


class TestStepThatFails:
    def test_holds_up_no_other_deletion_and_no_other_step(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unlucky, *lucky = [settle(f"number {number}") for number in range(4)]
        failing, *others = [delete(each) for each in (unlucky, *lucky)]
        fail_for(monkeypatch, TODOS, unlucky.id)

        work_until_done()

        assert {state_of(each) for each in others} == {"done"}
        assert state_of(failing) == "running"
        assert counted(failing) == {"todos": 0, "counter": COUNTED["counter"]}

    def test_says_what_is_wrong_and_when_it_is_tried_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unlucky = settle("unlucky")
        failing = delete(unlucky)
        fail_for(monkeypatch, TODOS, unlucky.id)

        work_until_done()

        step = step_of(failing, "todos")
        assert (step.failures, step.last_error) == (1, BROKEN)
        assert step.retry_at is not None
        assert step.retry_at > timezone.now()

    def test_says_so_also_where_it_had_gone_well_until_then(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In the same round, whose turns are told of when it is over."""
        failing, purge_chunk, turns = delete(settle("unlucky", rows=9)), TODOS.purge_chunk, []

        def purge_once(*owner_ids: Any, **how: Any) -> Any:
            turns.append(owner_ids)
            if len(turns) > 1:
                raise OperationalError(BROKEN)
            return purge_chunk(*owner_ids, **how)

        monkeypatch.setattr(TODOS, "purge_chunk", purge_once)
        Look(paces=defaultdict(partial(Pace, rows=4))).work_a_round()

        step = step_of(failing, "todos")
        assert len(turns) == 2
        assert (step.failures, step.last_error) == (1, BROKEN)

    def test_fails_once_a_round_where_others_shared_its_turn_before_they_were_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are counted, the turn fails for all, and each is tried again alone."""
        old, look = delete(settle("old")), Look()
        with monkeypatch.context() as short:
            short.setattr(cascade, "ROUND_SECONDS", -1)
            look.work_a_round()
        assert step_of(old, "todos").total == COUNTED["todos"]
        new = settle("new")
        deletions = [old, delete(new)]
        fail_for(monkeypatch, TODOS, old.user_id, new.id)

        look.work_a_round()

        assert [step_of(each, "todos").failures for each in deletions] == [1, 1]

    def test_holds_up_no_other_where_it_cannot_be_recorded_how_far_it_has_come(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All turns of a round are recorded at once."""
        failing, *others = [delete(settle(f"number {number}")) for number in range(3)]

        def record(*, reports: Sequence[StepReport]) -> None:
            if any(each.deletion_id == failing.id and each.deleted for each in reports):
                raise OperationalError(BROKEN)
            cascading.record_steps(reports=reports)

        with monkeypatch.context() as broken:
            broken.setattr(users, "record_steps", record)
            work_until_done()

        assert {state_of(each) for each in others} == {"done"}
        assert {step_of(failing, app).last_error for app in COUNTED} == {BROKEN}

        let_pauses_pass()
        work_until_done()
        assert (state_of(failing), counted(failing)) == ("done", COUNTED)

    @pytest.mark.parametrize("method", ["rows_of", "purge_chunk"])
    def test_holds_up_no_other_while_somebody_holds_its_row(
        self, monkeypatch: pytest.MonkeyPatch, method: str
    ) -> None:
        """From when it is counted on, or from when it is purged on. Nor can it say so then."""
        held, *others = [delete(settle(f"number {number}")) for number in range(3)]
        do, somebody, look = getattr(TODOS, method), connections["default"].copy(), Look()

        def hold_and_do(*args: Any, **how: Any) -> Any:
            if somebody.connection is None:
                somebody.set_autocommit(False)
                with somebody.cursor() as cursor:
                    cursor.execute(HOLD, [held.id])
            return do(*args, **how)

        with (
            monkeypatch.context() as watched,
            connections["default"].cursor() as cursor,
            closing(somebody),
        ):
            watched.setattr(TODOS, method, hold_and_do)
            cursor.execute("SET lock_timeout = '50ms'")
            for _ in range(3):
                look.work_a_round()
            cursor.execute("RESET lock_timeout")
            assert somebody.connection is not None

        assert {state_of(each) for each in others} == {"done"}
        assert step_of(held, "todos").state != "done"

        work_until_done()
        assert (state_of(held), counted(held)) == ("done", COUNTED)

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (ValueError("refused\nDETAIL:  Failing row contains (her diary)"), "refused"),
            (ValueError(), "ValueError"),
        ],
    )
    def test_quotes_no_row(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
    ) -> None:
        failing = delete(settle("unlucky"))

        def fail(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(TODOS, "purge_chunk", fail)
        work_until_done()

        assert step_of(failing, "todos").last_error == told

    def test_is_tried_again_after_pauses_that_grow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        unlucky = settle("unlucky")
        failing = delete(unlucky)
        fail_for(monkeypatch, TODOS, unlucky.id)
        pauses = []

        for _ in range(8):
            let_pauses_pass()
            before = timezone.now()
            work_until_done()
            after, next_at = timezone.now(), step_of(failing, "todos").next_at
            pauses.append((next_at - after, next_at - before))

        for (least, most), seconds in zip(pauses, [2, 4, 8, 16, 32, 60, 60, 60], strict=True):
            assert least <= timedelta(seconds=seconds) <= most

    def test_goes_on_by_itself_when_the_cause_is_gone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unlucky = settle("unlucky")
        failing = delete(unlucky)
        with monkeypatch.context() as broken:
            fail_for(broken, TODOS, unlucky.id)
            work_until_done()

        let_pauses_pass()
        work_until_done()

        assert state_of(failing) == "done"
        step = step_of(failing, "todos")
        assert (step.failures, step.last_error, step.retry_at) == (0, "", None)

    def test_is_tried_again_at_once_on_demand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        unlucky = settle("unlucky")
        failing = delete(unlucky)
        with monkeypatch.context() as broken:
            fail_for(broken, TODOS, unlucky.id)
            work_until_done()
        work_until_done()
        assert state_of(failing) == "running"

        retry_deletion(deletion_id=failing.id)
        work_until_done()

        assert state_of(failing) == "done"


class TestDeletionThatCannotBeFinished:
    def test_holds_up_no_other_and_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All was deleted; it is the account that cannot go, as a trigger would have it."""
        unlucky, *lucky = [settle(f"number {number}") for number in range(3)]
        failing, *others = [delete(each) for each in (unlucky, *lucky)]
        forget_names = cascading._forget_names

        def forget_some(user_ids: Any) -> None:
            if unlucky.id in user_ids:
                raise OperationalError(BROKEN)
            forget_names(user_ids)

        with monkeypatch.context() as broken:
            broken.setattr(cascading, "_forget_names", forget_some)
            work_until_done()

        assert {state_of(each) for each in others} == {"done"}
        assert state_of(failing) == "running"
        assert BROKEN in {step_of(failing, app).last_error for app in COUNTED}

        let_pauses_pass()
        work_until_done()
        assert (state_of(failing), counted(failing)) == ("done", COUNTED)


class TestDatabaseThatIsDown:
    @pytest.mark.parametrize("total", [None, COUNTED["todos"]], ids=["uncounted", "counted"])
    def test_is_asked_once_a_round_however_many_wait_for_it(
        self, total: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deletions = [delete(settle(f"number {number}")) for number in range(5)]
        DeletionStep.objects.filter(app="todos").update(total=total)
        monkeypatch.setattr("tasks.cascade.Pace", OneEach)
        connections["todos"].close()
        asked = []

        def refuse(*_: Any, **__: Any) -> None:
            asked.append(1)
            raise OperationalError("connection refused")

        look = Look()
        with monkeypatch.context() as down:
            down.setattr(connections["todos"], "connect", refuse)
            while look.work_a_round():
                pass

        assert {state_of(each) for each in deletions} == {"running"}
        assert {counted(each)["counter"] for each in deletions} == {COUNTED["counter"]}
        assert len(asked) <= 4
        errors = set(DeletionStep.objects.filter(app="todos").values_list("last_error", flat=True))
        assert all("connection refused" in error or "answer" in error for error in errors)

        let_pauses_pass()
        work_until_done()
        assert {state_of(each) for each in deletions} == {"done"}

    def test_keeps_nothing_from_being_finished_that_does_not_need_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The scan fails when all was deleted: a step is opened again, and says why."""
        deletion = delete(settle("leaver"))
        rows_left = TODOS.rows_left

        def fail_once_purged(owner_ids: Any) -> Any:
            if all(TODOS.is_purged(each) for each in owner_ids):
                raise OperationalError(BROKEN)
            return rows_left(owner_ids)

        with monkeypatch.context() as broken:
            broken.setattr(TODOS, "rows_left", fail_once_purged)
            work_until_done()
        step = step_of(deletion, "todos")
        assert (state_of(deletion), step.state, step.last_error) == ("running", "running", BROKEN)

        let_pauses_pass()
        work_until_done()
        assert (state_of(deletion), counted(deletion)) == ("done", COUNTED)


class OneEach:
    """A pace at which nobody shares a chunk."""

    rows = 1

    def learn(self, chunk: Any) -> None:
        pass
