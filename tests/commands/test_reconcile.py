"""`manage.py reconcile`: says what it found and did, and exits with 1 if anything is left."""

import uuid

import pytest
from django.core.management import CommandError, call_command

from apps.todos.models import Owner, Todo
from apps.users.models import Deletion, User
from apps.users.operations.deletions import request_deletion
from tasks import cascade
from tests.people import EVERYWHERE, feed_asleep, follow_feed, rows_left, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


class TestReconcileCommand:
    def test_mends_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        citizen = settle("before")
        follow_feed()
        Owner.objects.update(username="something else")

        call_command("reconcile")

        assert (
            f"todos: a name was out of date: {citizen.id}: is written again"
            in capsys.readouterr().out
        )
        assert Owner.objects.get().username == "before"

    def test_only_says_it_in_a_dry_run(self) -> None:
        settle("before")
        follow_feed()
        Owner.objects.update(username="something else")

        with pytest.raises(CommandError):
            call_command("reconcile", "--dry-run")

        assert Owner.objects.get().username == "something else"

    def test_fails_while_a_person_has_to_decide(self) -> None:
        settle("stray")
        with feed_asleep():
            User.objects.all().delete()

        with pytest.raises(CommandError):
            call_command("reconcile")

    def test_deletes_whom_nobody_knows_where_a_person_says_so(self) -> None:
        stray, other = settle("stray"), settle("other")
        with feed_asleep():
            User.objects.filter(id=stray.id).delete()

        call_command("reconcile", "--delete-unknown", str(stray.id))
        while cascade.advance_deletions():
            pass

        assert rows_left(stray.id) == {"todos": 0, "counter": 0, "users": 0}
        assert rows_left(other.id)["users"] == 1

    @pytest.mark.parametrize("who", ["one who is there", "one who was deleted", "nobody at all"])
    def test_deletes_nobody_who_is_known_or_has_no_rows(self, who: str) -> None:
        user_id = uuid.uuid4() if who == "nobody at all" else settle("citizen").id
        if who == "one who was deleted":
            request_deletion(user_id=user_id)
            while cascade.advance_deletions():
                pass
            Todo.objects.create(owner_id=user_id, title="an orphan, against the fence")
        before = Deletion.objects.count()

        with pytest.raises(CommandError, match="nothing was deleted"):
            call_command("reconcile", "--delete-unknown", str(user_id))

        assert Deletion.objects.count() == before
