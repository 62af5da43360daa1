"""`manage.py audit --repair`: says what and why, asks, and never guesses."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.counter import public as counter
from apps.counter.models import Counter, Entry, Key
from tests.commands.repairing import Answering, damage, repair
from tests.people import EVERYWHERE, Citizen, follow_feed, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


def rows() -> list[Any]:
    return [*Counter.objects.values_list(), *Entry.objects.order_by("place").values_list()]


class TestRepair:
    def test_sets_a_counter_to_what_its_ledger_comes_to(
        self, citizen: Citizen, capsys: pytest.CaptureFixture[str]
    ) -> None:
        whole = Counter.objects.get()
        damage(value=99, entries=7, settled_at=None)

        call_command("audit", "--repair", "--yes")

        mended = Counter.objects.get()
        expected = (5, 5, whole.settled_at)
        assert (mended.value, mended.entries, mended.settled_at) == expected
        assert mended.updated_at > whole.updated_at
        said = capsys.readouterr().out
        assert f"counter {citizen.counter_id}: repaired" in said
        assert "1 counters equal their ledgers" in said

    def test_lets_the_consumer_go_on_from_there(self, citizen: Citizen) -> None:
        damage(value=99, entries=7, settled_at=None)
        call_command("audit", "--repair", "--yes")

        counter.increment(counter_id=citizen.counter_id, owner_id=citizen.id, amount=2)
        counter.apply_pending_increments()

        call_command("audit")
        assert Counter.objects.get().value == 7

    def test_empties_a_counter_without_a_ledger(self, citizen: Citizen) -> None:
        Entry.objects.all().delete()
        Key.objects.all().delete()

        call_command("audit", "--repair", "--yes")

        emptied = Counter.objects.get()
        assert (emptied.value, emptied.entries, emptied.settled_at) == (0, 0, None)

    def test_changes_nothing_else(self, citizen: Citizen) -> None:
        other = settle("other")
        follow_feed()
        untouched = Counter.objects.filter(id=other.counter_id).values()
        before, ledger = list(untouched), list(Entry.objects.order_by("id").values())
        Counter.objects.filter(id=citizen.counter_id).update(value=99)

        call_command("audit", "--repair", "--yes")

        assert list(untouched) == before
        assert list(Entry.objects.order_by("id").values()) == ledger

    def test_has_nothing_to_do_where_all_is_well(
        self, citizen: Citizen, answering: Answering, capsys: pytest.CaptureFixture[str]
    ) -> None:
        answering("", meanwhile=lambda: pytest.fail("asked without need"))
        before = rows()

        call_command("audit", "--repair")

        assert rows() == before
        assert capsys.readouterr().out.startswith("1 counters equal their ledgers")

    def test_accepts_empty_databases(self) -> None:
        call_command("audit", "--repair", "--yes")


class TestConsent:
    """Nothing is touched before somebody has read what is to be done, and agreed."""

    def test_is_asked_for_when_all_is_said(
        self, citizen: Citizen, answering: Answering, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def read() -> None:
            said.append(capsys.readouterr().out)
            assert rows() == before

        said: list[str] = []
        damage(value=99)
        before = rows()
        answering("yes\n", meanwhile=read)

        call_command("audit", "--repair")

        [explained] = said
        assert "1 counter(s) can be repaired: their ledgers are whole." in explained
        assert f"counter {citizen.counter_id}: set value from 99 to 5\n" in explained
        assert Counter.objects.get().value == 5

    @pytest.mark.parametrize("answer", ["no\n", "\n", "", "y\n", "yes please\n"])
    def test_is_the_word_yes(self, citizen: Citizen, answering: Answering, answer: str) -> None:
        damage(value=99)
        before = rows()
        answering(answer)

        assert repair() == "Nothing was changed."

        assert rows() == before

    def test_cannot_be_had_without_a_terminal(
        self, citizen: Citizen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        damage(value=99)
        before = rows()
        monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))

        assert repair() == "Nothing was changed: there is no terminal to ask at (see --yes)."

        assert rows() == before

    def test_is_not_asked_for_by_a_mere_audit(self, citizen: Citizen, answering: Answering) -> None:
        damage(value=99)
        before = rows()
        answering("yes\n", meanwhile=lambda: pytest.fail("asked without need"))

        with pytest.raises(CommandError):
            call_command("audit", "--yes")

        assert rows() == before


class TestBeyondRepair:
    def test_is_a_ledger_that_is_not_whole(
        self, citizen: Citizen, capsys: pytest.CaptureFixture[str]
    ) -> None:
        damage(value=99)
        Entry.objects.filter(place=2).update(result=8)
        before = rows()

        assert repair("--yes") == "2 fault(s) left, for a person to decide on"

        assert rows() == before
        said = capsys.readouterr()
        assert f"counter {citizen.counter_id}: cannot be repaired" in said.out
        assert f"counter {citizen.counter_id}: the ledger breaks at place 2" in said.err

    def test_keeps_no_other_counter_from_its_repair(self, citizen: Citizen) -> None:
        other = settle("other")
        follow_feed()
        Counter.objects.update(value=99)
        Entry.objects.filter(counter=other.counter_id, place=2).delete()

        assert repair("--yes") == "5 fault(s) left, for a person to decide on"

        values = dict(Counter.objects.values_list("id", "value"))
        assert values == {citizen.counter_id: 5, other.counter_id: 99}

    def test_is_a_ledger_without_its_counter(
        self, citizen: Citizen, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Counter.objects.all().delete()

        assert repair("--yes") == "1 fault(s) left, for a person to decide on"

        assert Entry.objects.count() == 5
        assert "missing, but has 5 settled increment(s)" in capsys.readouterr().err

    def test_is_a_counter_that_is_going(self, citizen: Citizen) -> None:
        damage(value=99, deleted_at="2026-01-01T00:00Z")

        call_command("audit", "--repair", "--yes")

        assert counter.repair_counter(citizen.counter_id) is False
        assert Counter.objects.get().value == 99
