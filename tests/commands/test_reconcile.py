"""`manage.py reconcile`: says what it found and did, and exits with 1 if anything is left."""

import pytest
from django.core.management import CommandError, call_command

from apps.todos.models import Owner
from apps.users.models import User
from tests.people import EVERYWHERE, feed_asleep, follow_feed, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


class TestReconcileCommand:
    def test_mends_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        citizen = settle("before")
        follow_feed()
        Owner.objects.update(username="something else")

        call_command("reconcile")

        assert f"todos: a name was out of date: {citizen.id}" in capsys.readouterr().out
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
