"""`manage.py tally`: counts from the shell, once for each key, and exits as it should."""

import io
import json
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.accepting import accept_increment
from apps.counter.consumer import LARGEST
from apps.counter.management.commands import tally as command
from apps.counter.models import Counter, Increment
from apps.counter.owners import COUNTERS
from apps.users.models import User
from tests.conftest import Start
from tests.polling import wait_for

pytestmark = pytest.mark.django_db(databases=["default", "counter"])


@pytest.fixture
def cups(ada: User) -> UUID:
    return counter.open_counter(owner_id=ada.id, name="cups/day")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tally(*words: object, stdout: io.StringIO | None = None) -> str:
    """What it prints."""
    stdout = stdout or io.StringIO()
    call_command("tally", *map(str, words), stdout=stdout)
    return stdout.getvalue()


def failed(*words: object) -> tuple[int, str]:
    """Its exit code, and what it says."""
    with pytest.raises(CommandError) as caught:
        tally(*words)
    assert "\n" not in str(caught.value)
    return caught.value.returncode, str(caught.value)


class TestTally:
    def test_prints_the_receipt_that_http_gives_on_one_line(
        self, cups: UUID, api: APIClient
    ) -> None:
        printed = tally(cups, "--amount", "-5", "--key", "monday")

        receipt = json.loads(printed)
        assert printed.count("\n") == 1
        assert api.get(f"/api/counters/{cups}/increments/{receipt['id']}/").json() == receipt
        assert (receipt["amount"], receipt["key"], receipt["state"]) == (-5, "monday", "pending")

    @pytest.mark.parametrize("name", ["ada/cups/day", "ADA/cups/day"])
    def test_finds_the_counter_by_owner_and_name(self, cups: UUID, name: str) -> None:
        assert json.loads(tally(name))["counter"] == str(cups)

    def test_counts_once_for_a_key(self, cups: UUID) -> None:
        first, again = tally(cups, "--key", "monday"), tally(cups, "--key", "monday")

        assert first == again
        assert Increment.objects.count() == 1

    def test_counts_each_time_without_one(self, cups: UUID) -> None:
        tally(cups)
        tally(cups)

        assert Increment.objects.count() == 2

    def test_says_it_in_words_on_a_terminal(self, cups: UUID) -> None:
        pending = tally(cups, "--amount", 3, "--key", "k", stdout=Terminal())
        counter.apply_pending_increments()
        applied = tally(cups, "--amount", 3, "--key", "k", stdout=Terminal())

        assert pending == "+3 pending (key k)\n"
        assert applied == "+3 applied, the counter is at 3 (key k)\n"

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--amount", "0"], "An amount is a whole number"),
            (["--amount", str(10**400)], "An amount is a whole number"),
            (["--key", ""], "A key is 1 to 255 visible ASCII characters."),
            (["--key", "a b"], "A key is 1 to 255 visible ASCII characters."),
            (["--key", "used"], "This key was already used"),
        ],
    )
    def test_fails_with_1_where_it_is_refused(
        self, cups: UUID, words: list[str], says: str
    ) -> None:
        tally(cups, "--key", "used", "--amount", 2)

        code, message = failed(cups, *words)

        assert code == 1
        assert message.startswith(says)
        assert Increment.objects.count() == 1

    @pytest.mark.parametrize(
        "name",
        ["00000000-0000-7000-8000-000000000000", "ada/teas", "nobody/cups/day", "ada", "", "/"],
    )
    def test_fails_with_1_where_there_is_no_such_counter(self, cups: UUID, name: str) -> None:
        assert failed(name) == (1, "There is no such counter.")

    def test_fails_with_1_where_the_owner_is_being_deleted(self, cups: UUID, ada: User) -> None:
        COUNTERS.entomb(ada.id)

        assert failed(cups)[0] == 1

    def test_fails_with_3_where_it_is_not_applied_in_time(
        self, cups: UUID, capsys: pytest.CaptureFixture[str]
    ) -> None:
        code, message = failed(cups, "--wait", "0.01")

        assert (code, message) == (3, "Accepted, but not applied within 0.01 s. It will be.")
        assert Increment.objects.count() == 1

    def test_fails_with_4_and_the_key_where_it_is_not_known_whether_it_counted(
        self, cups: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def accept_and_lose_the_answer(**increment: Any) -> None:
            accept_increment(**increment)
            raise OperationalError("the connection is lost\nwhile it commits")

        with monkeypatch.context() as patched:
            patched.setattr(command, "accept_increment", accept_and_lose_the_answer)
            code, message = failed(cups)
        key = Increment.objects.get().key
        again = json.loads(tally(cups, "--key", key))

        said = f"Not known whether it was accepted; again with --key {key}: the connection is lost"
        assert (code, message) == (4, said)
        assert again["key"] == key
        assert Increment.objects.count() == 1


@pytest.mark.django_db(databases=["default", "counter"], transaction=True)
class TestWait:
    def test_ends_as_soon_as_it_is_applied(self, cups: UUID, start: Start) -> None:
        waiting = start(tally, cups, "--amount", 4, "--wait", 60)
        self.apply_when_accepted()

        receipt = json.loads(waiting.result())

        assert (receipt["state"], receipt["result"]) == ("applied", 4)

    def test_fails_with_1_where_it_is_refused_at_last(self, cups: UUID, start: Start) -> None:
        Counter.objects.update(value=LARGEST)
        waiting = start(tally, cups, "--wait", 60)
        self.apply_when_accepted()

        failure: Any = waiting.exception()

        assert isinstance(failure, CommandError)
        assert (failure.returncode, str(failure)) == (1, "It would leave the signed 64-bit range.")

    def apply_when_accepted(self) -> None:
        wait_for("an increment being accepted", Increment.objects.exists)
        counter.apply_pending_increments()
