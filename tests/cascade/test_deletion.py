"""The cascade, driven by hand: what a worker does, without the worker."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion, User
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    request_deletion,
    resume_deletion,
)
from apps.users.queries import get_deletion
from kit import holdings
from kit.holdings import Holdings
from tasks import cascade
from tests.people import EVERYWHERE, Citizen, rows_left, settle
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

GONE = {"todos": 0, "counter": 0, "users": 0}
COUNTED = {"todos": 5, "counter": 6}  # five todos; five increments and their counter


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Holdings.purge_chunk, "__kwdefaults__", {"rows": 2})


def delete(citizen: Citizen) -> Deletion:
    return request_deletion(user_id=citizen.id)


def work_until_done() -> None:
    while cascade.advance_deletions():
        pass


def counted(deletion: Deletion) -> dict[str, int]:
    return {step.app: step.deleted for step in get_deletion(deletion.id).steps.all()}


class TestCascade:
    def test_deletes_everything_of_the_user_and_nothing_else(self) -> None:
        leaver, stayer = settle("leaver"), settle("stayer")

        deletion = delete(leaver)
        work_until_done()

        assert get_deletion(deletion.id).state == "done"
        assert counted(deletion) == COUNTED
        assert rows_left(leaver.id) == GONE
        assert rows_left(stayer.id) == {**COUNTED, "users": 1}

    @pytest.mark.usefixtures("small_chunks")
    @pytest.mark.parametrize("dies_at", range(1, 14))
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
    def test_counts_exactly_when_two_workers_advance_it_at_once(self) -> None:
        leaver = settle("leaver", rows=40)
        deletion = delete(leaver)

        race(work_until_done, work_until_done)
        work_until_done()

        assert counted(deletion) == {"todos": 40, "counter": 41}
        assert get_deletion(deletion.id).state == "done"

    @pytest.mark.usefixtures("small_chunks")
    def test_pauses_between_chunks_and_resumes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        leaver = settle("leaver")
        deletion = delete(leaver)
        record_step = users.record_step

        def record_and_pause(**report: Any) -> None:
            record_step(**report)
            if report["deleted"] == 2 and report["app"] == "todos":
                pause_deletion(deletion_id=deletion.id)

        monkeypatch.setattr(users, "record_step", record_and_pause)
        work_until_done()
        assert counted(deletion) == {"todos": 2, "counter": 0}
        with pytest.raises(WrongDeletionState):
            cancel_deletion(deletion_id=deletion.id)

        resume_deletion(deletion_id=deletion.id)
        work_until_done()

        assert counted(deletion) == COUNTED
        assert get_deletion(deletion.id).state == "done"

    @pytest.mark.usefixtures("small_chunks")
    def test_gives_every_deletion_its_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cascade, "TURN_SECONDS", 0)
        huge, small = settle("huge", rows=40), settle("small", rows=1)
        first, second = delete(huge), delete(small)

        while get_deletion(second.id).state != "done":
            assert cascade.advance_deletion(first.id)
            cascade.advance_deletion(second.id)

        assert get_deletion(first.id).state == "running"

    def test_one_that_fails_holds_up_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        unlucky, lucky = settle("unlucky"), settle("lucky")
        failing, going_on = delete(unlucky), delete(lucky)
        entomb = TODOS.entomb

        def entomb_some(owner_id: Any) -> int:
            if owner_id == unlucky.id:
                raise OperationalError("the disk is full")
            return entomb(owner_id)

        monkeypatch.setattr(TODOS, "entomb", entomb_some)
        work_until_done()

        assert get_deletion(going_on.id).state == "done"
        assert get_deletion(failing.id).state == "running"

        monkeypatch.undo()
        work_until_done()
        assert get_deletion(failing.id).state == "done"

    def test_takes_in_an_app_that_was_added_after_the_request(self) -> None:
        leaver = settle("leaver")
        deletion = delete(leaver)
        deletion.steps.filter(app="counter").delete()

        work_until_done()

        assert counted(deletion) == COUNTED
        assert get_deletion(deletion.id).state == "done"

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

    for owner, name in [
        (Holdings, "entomb"),
        (Holdings, "purge_chunk"),
        (users, "begin_deletion"),
        (users, "record_step"),
        (users, "finish_deletion"),
    ]:
        monkeypatch.setattr(owner, name, mortal(getattr(owner, name)))
    return steps
