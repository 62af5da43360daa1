"""`manage.py demo`: the same seed makes the same data, once."""

import pytest
from django.core.management import call_command

from apps.counter import public as counter
from apps.counter.models import Increment
from apps.todos.models import Todo
from apps.users.models import User
from tests.people import EVERYWHERE, follow_feed

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

SMALL = {"users": 2, "todos": 3, "increments": 4}


class TestDemo:
    def test_fills_every_database(self) -> None:
        call_command("demo", **SMALL)

        assert (User.objects.count(), Todo.objects.count()) == (2, 6)
        assert Increment.objects.count() == 8

    def test_adds_nothing_the_second_time(self) -> None:
        call_command("demo", **SMALL)
        call_command("demo", **SMALL)

        assert (User.objects.count(), Todo.objects.count()) == (2, 6)

    def test_passes_the_audit(self) -> None:
        call_command("demo", **SMALL)
        counter.apply_pending_increments()
        follow_feed()

        call_command("audit")

    def test_can_be_asked_for_nobody(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("demo", users=0)

        assert "0 users added" in capsys.readouterr().out
