"""`manage.py deletions`: watched, steered, and certificates checked again at any later time."""

import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.counter.models import Counter
from apps.todos.models import Owner, Todo
from apps.todos.owners import TODOS
from apps.users.models import Deletion, DeletionStep, User
from tasks import cascade
from tests.cascade.deleting import delete, state_of, work_until_done
from tests.people import EVERYWHERE, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and returns what it wrote, to either side."""

    def run(*words: object) -> str:
        call_command("deletions", *map(str, words))
        return told()

    def told() -> str:
        out, err = capsys.readouterr()
        return out + err

    run.told = told  # type: ignore[attr-defined]
    return run


def ended(username: str = "leaver") -> Deletion:
    deletion = delete(settle(username))
    work_until_done()
    return deletion


class TestList:
    def test_shows_those_that_have_not_ended(self, said: Any) -> None:
        done, waiting = ended(), delete(settle("other"))

        assert str(waiting.id) in said("list")
        assert str(done.id) not in said("list")
        assert str(done.id) in said("list", "--state", "done")

    @pytest.mark.usefixtures("small_chunks")
    def test_shows_progress_rows_left_rate_and_what_is_wrong(self, said: Any) -> None:
        deletion, look = delete(settle("leaver", rows=9)), cascade.Look()
        for _ in range(4):
            look.work_a_round()

        line = said("list")

        assert f"{deletion.id} running" in line
        for part in ("%", "rows left", "a second", "to go"):
            assert part in line
        DeletionStep.objects.filter(app="todos").update(failures=2, last_error="the disk is full")
        assert "todos failed 2 time(s)" in said("list")


class TestShow:
    def test_shows_every_step_and_its_last_error(self, said: Any) -> None:
        deletion = delete(settle("leaver"))
        DeletionStep.objects.filter(app="todos").update(failures=2, last_error="the disk is full")

        shown = said("show", deletion.id)

        assert "counter: pending, 0 of ? rows" in shown
        assert "failed 2 time(s)" in shown
        assert "the disk is full" in shown

    def test_of_one_that_never_was_is_an_error(self) -> None:
        with pytest.raises(CommandError, match="no such deletion"):
            call_command("deletions", "show", str(uuid.uuid4()))


class TestSteering:
    def test_pauses_and_resumes(self, said: Any) -> None:
        deletion = delete(settle("leaver"))
        Deletion.objects.update(state="running")

        assert "paused" in said("pause", deletion.id)
        assert state_of(deletion) == "paused"

        assert "running" in said("resume", deletion.id)
        assert state_of(deletion) == "running"

    def test_cancels(self, said: Any) -> None:
        deletion = delete(settle("leaver"))

        said("cancel", deletion.id)

        assert User.objects.get().closed_at is None

    def test_tries_again_at_once(self, said: Any) -> None:
        deletion = delete(settle("leaver"))
        Deletion.objects.update(state="running")
        DeletionStep.objects.update(next_at="2999-01-01T00:00Z", failures=9)
        work_until_done()
        assert state_of(deletion) == "running"

        said("retry", deletion.id)
        work_until_done()

        assert state_of(deletion) == "done"

    @pytest.mark.parametrize("verb", ["resume", "pause", "retry"])
    def test_says_what_is_refused_and_does_the_others(self, said: Any, verb: str) -> None:
        deletion = delete(settle("leaver"))

        with pytest.raises(CommandError) as stopped:
            said(verb, deletion.id, uuid.uuid4())

        assert stopped.value.returncode == 1
        assert "2 refused" in str(stopped.value)
        assert "The deletion is scheduled" in said.told()


class TestVerify:
    def test_finds_all_certificates_to_hold_and_dates_them_anew(self, said: Any) -> None:
        deletions = [ended("one"), ended("two")]
        before = set(Deletion.objects.values_list("verified_at", flat=True))

        assert "2 certificate(s) checked; all of them hold" in said("verify")

        assert before.isdisjoint(Deletion.objects.values_list("verified_at", flat=True))
        assert "1 certificate(s)" in said("verify", deletions[0].id)

    @pytest.mark.parametrize("wrong", ["row", "counter", "account", "count", "tombstone"])
    def test_fails_and_says_what_does_not_hold(self, said: Any, wrong: str) -> None:
        deletion, good = ended("leaver"), ended("other")
        owner = Owner.objects.filter(id=deletion.user_id)
        before = Deletion.objects.get(id=deletion.id).verified_at
        expected = {
            "row": "todos: 1 row(s) are there",
            "counter": "counter: 1 row(s) are there",
            "account": "the account is there",
            "count": "todos: counted 4 row(s), the certificate says 5",
            "tombstone": "todos: the tombstone is missing",
        }[wrong]
        if wrong == "row":
            Todo.objects.create(owner_id=deletion.user_id, title="an orphan, against the fence")
        elif wrong == "counter":
            Counter.objects.create(owner_id=deletion.user_id, name="an orphan as well")
        elif wrong == "account":
            User.objects.create(id=deletion.user_id, username="revenant")
        elif wrong == "count":
            owner.update(purged_rows=4)
        else:
            owner.update(tombstoned_at=None)

        with pytest.raises(CommandError, match=r"^1 certificate") as stopped:
            said("verify")

        assert stopped.value.returncode == 1
        told = said.told()
        assert f"{deletion.id}: {expected}" in told
        assert str(good.id) not in told
        assert Deletion.objects.get(id=deletion.id).verified_at == before

    def test_of_an_earlier_one_does_not_mind_what_a_later_one_counted(self, said: Any) -> None:
        first = ended()
        Todo.objects.create(owner_id=first.user_id, title="an orphan, against the fence")
        call_command("reconcile", verbosity=0)
        work_until_done()

        assert "2 certificate(s) checked; all of them hold" in said("verify")
        assert TODOS.entombed([first.user_id]) == {first.user_id: 6}

    def test_of_what_is_not_done_is_refused(self) -> None:
        deletion = delete(settle("leaver"))

        with pytest.raises(CommandError, match="scheduled"):
            call_command("deletions", "verify", str(deletion.id))
        with pytest.raises(CommandError, match="no such deletion"):
            call_command("deletions", "verify", str(uuid.uuid4()))
