"""`manage.py audit`: quiet when all is well, a line per fault and 1 when not."""

from collections.abc import Callable
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from apps.counter import auditing
from apps.counter import public as counter
from apps.counter.models import Counter, Increment, Owner
from apps.counter.owners import KEYS_OF_GONE
from apps.todos.models import FeedCursor, Todo
from apps.todos.operations.writing import change_todo
from apps.users.models import User
from apps.users.operations.deletions import request_deletion
from epis import audit
from kit.directory import Viewer
from kit.ids import new_id
from tasks import cascade
from tests.people import EVERYWHERE, Citizen, feed_asleep, follow_feed, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

OUT_OF_PLACE = "a place before it is missing, or it is taken twice"
DOES_NOT_FOLLOW = "its result does not follow from those before it"
BACK_IN_TIME = "it is timed before the one before it"
DELETE_WITH_KEY = "WITH gone AS (DELETE FROM counter_entry"
RETURNING_KEY = f"RETURNING counter_id, key) {KEYS_OF_GONE}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SECONDS_TO_CATCH_UP", 0.2)


@pytest.fixture
def faults(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Runs an audit that must fail, and returns its lines."""

    def audit_and_fail() -> list[str]:
        with pytest.raises(CommandError) as stopped:
            call_command("audit")
        lines = capsys.readouterr().err.splitlines()
        assert stopped.value.returncode == 1
        assert str(stopped.value) == f"{len(lines)} fault(s) found"
        return lines

    return audit_and_fail


def plant(sql: str, *parameters: object) -> None:
    with connections["counter"].cursor() as cursor:
        cursor.execute(sql, parameters)


Faults = Callable[[], list[str]]


class TestAudit:
    def test_says_what_it_checked_when_all_is_well(
        self, citizen: Citizen, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("audit")

        said = capsys.readouterr()
        assert said.out.startswith("1 counters equal their ledgers")
        assert said.err == ""

    def test_accepts_empty_databases(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("audit")

        assert capsys.readouterr().out.startswith("0 counters equal their ledgers")

    def test_finds_orphans(self, citizen: Citizen, faults: Faults) -> None:
        with feed_asleep():
            User.objects.all().delete()

        assert faults() == [
            f"todos: rows of a user whom nobody knows: {citizen.id}",
            f"counter: rows of a user whom nobody knows: {citizen.id}",
        ]

    def test_finds_an_orphan_of_a_deleted_user(self, faults: Faults) -> None:
        citizen = settle("leaver")
        request_deletion(user_id=citizen.id)
        while cascade.advance_deletions():
            pass
        follow_feed()
        Todo.objects.create(owner_id=citizen.id, title="an orphan, against the fence")

        assert faults() == [f"todos: rows of a deleted user were left: {citizen.id}"]

    def test_finds_a_cursor_that_does_not_move(self, citizen: Citizen, faults: Faults) -> None:
        FeedCursor.objects.update(position=0)

        assert faults() == ["todos: the cursor stands at 0, the feed at 1"]


class TestLedger:
    @pytest.mark.parametrize(
        ("planted", "expected"),
        [
            ("UPDATE counter_counter SET value = 99", ["value 99, ledger 5"]),
            ("UPDATE counter_counter SET entries = 7", ["entries 7, ledger 5"]),
            (
                f"{DELETE_WITH_KEY} WHERE place = 2 {RETURNING_KEY}",
                [
                    "value 5, ledger 4",
                    "entries 5, ledger 4",
                    f"the ledger breaks at place 3: {OUT_OF_PLACE}",
                    f"the ledger breaks at place 3: {DOES_NOT_FOLLOW}",
                ],
            ),
            (
                "UPDATE counter_entry SET place = 3 WHERE place = 2",
                [f"the ledger breaks at place 3: {OUT_OF_PLACE}"],
            ),
            (
                "UPDATE counter_entry SET place = place + 1",
                [f"the ledger breaks at place 2: {OUT_OF_PLACE}"],
            ),
            (
                "UPDATE counter_entry SET result = 9 WHERE place = 2",
                [f"the ledger breaks at place 2: {DOES_NOT_FOLLOW}"],
            ),
            (
                "UPDATE counter_entry SET amount = 3 WHERE place = 5",
                ["value 5, ledger 7", f"the ledger breaks at place 5: {DOES_NOT_FOLLOW}"],
            ),
            (
                "UPDATE counter_entry SET result = NULL WHERE place = 5",
                ["value 5, ledger 4", f"the ledger breaks at place 5: {DOES_NOT_FOLLOW}"],
            ),
            (
                "UPDATE counter_entry SET settled_at = settled_at - interval '1 s' WHERE place = 4",
                [f"the ledger breaks at place 4: {BACK_IN_TIME}"],
            ),
        ],
    )
    def test_is_compared_with_its_counter_and_with_itself(
        self, citizen: Citizen, faults: Faults, planted: str, expected: list[str]
    ) -> None:
        plant(planted)

        assert faults() == [f"counter {citizen.counter_id}: {fault}" for fault in expected]

    def test_is_compared_with_the_time_of_its_counter(
        self, citizen: Citizen, faults: Faults
    ) -> None:
        plant("UPDATE counter_counter SET settled_at = NULL")

        [fault] = faults()

        assert fault.startswith(f"counter {citizen.counter_id}: settled_at None, ledger 20")

    def test_may_refuse_only_what_would_leave_the_range(
        self, citizen: Citizen, faults: Faults, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant("UPDATE counter_entry SET result = NULL WHERE place = 5")
        plant("UPDATE counter_counter SET value = 4")

        assert faults() == [
            f"counter {citizen.counter_id}: the ledger breaks at place 5: {DOES_NOT_FOLLOW}"
        ]
        monkeypatch.setattr(auditing, "LARGEST", 4)
        call_command("audit")

    @pytest.mark.parametrize(("counters", "entries"), [(2, 10**6), (500, 7), (500, 1)])
    def test_is_read_for_every_counter_whatever_the_chunks(
        self,
        citizen: Citizen,
        faults: Faults,
        monkeypatch: pytest.MonkeyPatch,
        counters: int,
        entries: int,
    ) -> None:
        monkeypatch.setattr(auditing, "COUNTERS_PER_CHUNK", counters)
        monkeypatch.setattr(auditing, "ENTRIES_PER_CHUNK", entries)
        owner_id = citizen.id
        ids = [counter.open_counter(owner_id=owner_id, name=f"{n}") for n in range(5)]
        plant("UPDATE counter_counter SET entries = 9 WHERE id = %s", ids[1])
        plant("UPDATE counter_counter SET entries = -9 WHERE id = %s", ids[2])
        plant("UPDATE counter_counter SET value = 1 WHERE id = %s", ids[4])

        assert faults() == [
            f"counter {ids[1]}: entries 9, ledger 0",
            f"counter {ids[2]}: entries -9, ledger 0",
            f"counter {ids[4]}: value 1, ledger 0",
        ]

    def test_is_not_compared_once_its_counter_goes(self, citizen: Citizen) -> None:
        plant("UPDATE counter_counter SET value = 99, deleted_at = now()")

        call_command("audit")

    def test_is_not_compared_once_its_owner_goes(self, citizen: Citizen) -> None:
        request_deletion(user_id=citizen.id)
        follow_feed()
        plant("UPDATE counter_counter SET value = 99")
        Owner.objects.update(tombstoned_at="2026-01-01T00:00Z")

        assert [*auditing.compare_counters()] == []


class TestInbox:
    def test_is_no_fault(self, citizen: Citizen) -> None:
        counter.increment(counter_id=citizen.counter_id, owner_id=citizen.id)

        call_command("audit")

        assert Increment.objects.filter(settled_at=None).count() == 1

    def test_must_not_hold_what_is_settled(self, citizen: Citizen, faults: Faults) -> None:
        plant(
            """
            INSERT INTO counter_pending (id, counter_id, slot, key, amount)
            SELECT id, counter_id, 0, key, amount FROM counter_entry WHERE key = 'key-3'
            """
        )

        assert faults() == ["counter: 1 increment(s) are settled and pending at once"]

    def test_names_what_is_set_aside(self, citizen: Citizen, faults: Faults) -> None:
        self.put(citizen.counter_id, "fresh")
        self.put(citizen.counter_id, "rotten")
        plant(
            "UPDATE counter_pending SET set_aside_at = now(), reason = %s WHERE key = 'rotten'",
            "it is rotten\nCONTEXT: a test",
        )

        assert faults() == [
            f"counter {citizen.counter_id}: +7 under key rotten could not be settled "
            "and is set aside: it is rotten"
        ]

    def test_is_not_read_once_its_counter_goes(self, citizen: Citizen) -> None:
        self.put(citizen.counter_id, "rotten")
        plant("UPDATE counter_pending SET set_aside_at = now()")
        plant("UPDATE counter_counter SET deleted_at = now()")

        call_command("audit")

    def test_and_ledger_must_not_outlive_their_counter(
        self, citizen: Citizen, faults: Faults
    ) -> None:
        self.put(citizen.counter_id, "late")
        Counter.objects.all().delete()

        assert faults() == [
            f"counter {citizen.counter_id}: missing, but has 1 pending increment(s)",
            f"counter {citizen.counter_id}: missing, but has 5 settled increment(s)",
        ]

    def put(self, counter_id: UUID, key: str) -> None:
        plant(
            """
            WITH put AS (
                INSERT INTO counter_pending (id, counter_id, slot, key, amount)
                VALUES (%s, %s, %s, %s, 7)
                RETURNING id, counter_id, key
            )
            INSERT INTO counter_key SELECT counter_key_digest(counter_id, key), id FROM put
            """,
            *(new_id(), counter_id, counter_id.int % 64, key),
        )


class TestKeys:
    @pytest.mark.parametrize("is_settled", [True, False])
    def test_must_be_held_for_every_increment(
        self, citizen: Citizen, faults: Faults, is_settled: bool
    ) -> None:
        counter.increment(counter_id=citizen.counter_id, owner_id=citizen.id, key="lost")
        if is_settled:
            counter.apply_pending_increments()
        plant(
            "DELETE FROM counter_key WHERE digest = counter_key_digest(%s, 'lost')",
            citizen.counter_id,
        )

        assert faults() == [f"counter {citizen.counter_id}: key lost is not held for its increment"]

    def test_must_be_held_for_the_increment_that_has_it(
        self, citizen: Citizen, faults: Faults
    ) -> None:
        plant(
            "UPDATE counter_key SET increment_id = %s WHERE digest = counter_key_digest(%s, %s)",
            *(new_id(), citizen.counter_id, "key-3"),
        )

        assert faults() == [
            f"counter {citizen.counter_id}: key key-3 is not held for its increment",
            "counter: 1 key(s) are held for no increment",
        ]

    def test_must_not_outlive_their_increments(self, citizen: Citizen, faults: Faults) -> None:
        plant("INSERT INTO counter_key VALUES ('one', uuidv7()), ('other', uuidv7())")

        assert faults() == ["counter: 2 key(s) are held for no increment"]


class TestStrayChange:
    def test_is_named_by_its_todo(self, faults: Faults, citizen: Citizen) -> None:
        todo = Todo.objects.filter(owner=citizen.id)[0]
        change_todo(todo_id=todo.id, viewer=Viewer(citizen.id), title="changed")
        with connections["todos"].cursor() as cursor:
            cursor.execute("DELETE FROM todos_todo WHERE id = %s", [todo.id])

        assert faults() == [f"todos: changes of a todo that is not there: {todo.id}"]
