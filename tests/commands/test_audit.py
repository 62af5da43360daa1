"""`manage.py audit`: quiet when all is well, a line per fault and 1 when not."""

import pytest
from django.core.management import CommandError, call_command

from apps.counter.models import Counter, Increment
from apps.todos.models import FeedCursor, Todo
from apps.users.models import User
from apps.users.operations.deletions import request_deletion
from epis import audit
from tasks import cascade
from tests.people import EVERYWHERE, feed_asleep, follow_feed, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SECONDS_TO_CATCH_UP", 0.2)


def faults(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(CommandError) as stopped:
        call_command("audit")
    assert stopped.value.returncode == 1
    return capsys.readouterr().err


class TestAudit:
    def test_says_what_it_checked_when_all_is_well(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settle("someone")
        follow_feed()

        call_command("audit")

        said = capsys.readouterr()
        assert said.out.startswith("1 counters equal their ledgers")
        assert said.err == ""

    def test_accepts_empty_databases(self) -> None:
        call_command("audit")

    def test_is_not_troubled_by_what_is_pending(self) -> None:
        citizen = settle("someone")
        follow_feed()
        Increment.objects.create(counter_id=citizen.counter_id, key="pending", amount=7)

        call_command("audit")

    def test_finds_a_counter_that_differs_from_its_ledger(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        citizen = settle("someone")
        follow_feed()
        Counter.objects.update(value=99)

        assert f"counter {citizen.counter_id}: value 99, ledger 5" in faults(capsys)

    def test_finds_orphans(self, capsys: pytest.CaptureFixture[str]) -> None:
        citizen = settle("someone")
        follow_feed()
        with feed_asleep():
            User.objects.all().delete()

        said = faults(capsys)

        assert f"todos: rows of a user whom nobody knows: {citizen.id}" in said
        assert f"counter: rows of a user whom nobody knows: {citizen.id}" in said

    def test_finds_an_orphan_of_a_deleted_user(self, capsys: pytest.CaptureFixture[str]) -> None:
        citizen = settle("leaver")
        request_deletion(user_id=citizen.id)
        while cascade.advance_deletions():
            pass
        follow_feed()
        Todo.objects.create(owner_id=citizen.id, title="an orphan, against the fence")

        assert f"todos: rows of a deleted user were left: {citizen.id}" in faults(capsys)

    def test_finds_a_cursor_that_does_not_move(self, capsys: pytest.CaptureFixture[str]) -> None:
        settle("someone")
        follow_feed()
        FeedCursor.objects.update(position=0)

        assert "todos: the cursor stands at 0, the feed at 1" in faults(capsys)
