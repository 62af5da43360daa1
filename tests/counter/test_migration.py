"""Migrations: what was counted before it is counted after it, and keys keep their promise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import IntegrityError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import StateApps

from apps.counter import public as counter
from apps.counter.accepting import accept_increment
from apps.counter.lanes import CONSUMER_LOCK, slot_of
from apps.counter.models import Counter, Increment, Pending
from apps.counter.owners import COUNTERS
from apps.counter.queries import find_standings
from kit.directory import Viewer
from kit.ids import new_id
from tests.counter.ledger import faults_of

pytestmark = pytest.mark.django_db(databases=["counter"], transaction=True)

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


NOW = "0006_keys_of_their_own"  # what the models and the code are made for


def migrate(name: str) -> StateApps:
    """Bring the counter app to this migration. Gives its models as they are there."""
    executor = MigrationExecutor(connections["counter"])
    return executor.migrate([("counter", name)]).apps


@pytest.fixture
def before() -> Iterator[StateApps]:
    """The tables of 0001, in a schema of their own: those of the other tests stay as they are."""
    connection = connections["counter"]
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA before")
        cursor.execute("SET search_path TO before")
    try:
        yield migrate("0001_initial")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA before CASCADE")
        connection.close()


class OldLedger:
    """Fills the tables of 0001 as the code of that time did."""

    def __init__(self, apps: StateApps) -> None:
        self._apps = apps
        self.owner_id = new_id()
        apps.get_model("counter", "Owner").objects.create(id=self.owner_id, username="ada")

    def counter(self, name: str, *, value: int = 0) -> UUID:
        created: Any = self._apps.get_model("counter", "Counter").objects.create(
            owner_id=self.owner_id, name=name, value=value
        )
        counter_id: UUID = created.id
        return counter_id

    def increment(
        self,
        counter_id: UUID,
        key: str,
        amount: int,
        result: int | None = None,
        settled: int | None = None,
    ) -> None:
        """`settled`: at which minute, if it is."""
        at = None if settled is None else BEGINNING + timedelta(minutes=settled)
        self._apps.get_model("counter", "Increment").objects.create(
            counter_id=counter_id, key=key, amount=amount, result=result, settled_at=at
        )


@pytest.fixture
def old(before: StateApps) -> OldLedger:
    return OldLedger(before)


@pytest.fixture
def tallies(old: OldLedger) -> tuple[UUID, UUID]:
    """Two counters with all that there can be: applied, refused and pending."""
    one, other = old.counter("one", value=2**63 - 2), old.counter("other", value=-3)
    old.increment(one, "a", 5, 2**63 - 4, settled=1)
    old.increment(other, "a", -1, -1, settled=1)
    old.increment(one, "b", 10**9, None, settled=1)
    old.increment(one, "c", 2, 2**63 - 2, settled=1)
    old.increment(other, "b", -2, -3, settled=7)
    old.increment(one, "d", 10**9, None, settled=7)
    for number in range(5):
        old.increment(one, f"pending-{number}", -number - 1)
        old.increment(other, f"pending-{number}", number + 1)
    return one, other


def ledger(counter_id: UUID) -> list[tuple[Any, ...]]:
    settled = Increment.objects.filter(counter=counter_id, place__isnull=False)
    return list(settled.order_by("place").values_list("place", "key", "amount", "result"))


class TestInboxAndLedger:
    def test_keeps_every_increment_as_it_was(
        self, before: StateApps, tallies: tuple[UUID, UUID]
    ) -> None:
        columns = ("id", "counter_id", "key", "amount", "accepted_at", "result", "settled_at")
        old = before.get_model("counter", "Increment").objects.order_by("id")
        expected = list(old.values_list(*columns))

        migrate(NOW)

        kept = Increment.objects.order_by("id").values_list(*columns)
        assert list(kept) == expected
        assert len(expected) == 16

    def test_gives_what_is_settled_its_place(self, tallies: tuple[UUID, UUID]) -> None:
        one, other = tallies

        migrate(NOW)

        assert ledger(one) == [
            (1, "a", 5, 2**63 - 4),
            (2, "b", 10**9, None),
            (3, "c", 2, 2**63 - 2),
            (4, "d", 10**9, None),
        ]
        assert ledger(other) == [(1, "a", -1, -1), (2, "b", -2, -3)]
        stands = dict(Counter.objects.values_list("id", "entries"))
        assert stands == {one: 4, other: 2}
        last = {BEGINNING + timedelta(minutes=7)}
        assert set(Counter.objects.values_list("settled_at", flat=True)) == last

    def test_leaves_what_is_pending_to_be_applied_in_its_order(
        self, tallies: tuple[UUID, UUID]
    ) -> None:
        one, other = tallies
        migrate(NOW)
        assert set(Pending.objects.values_list("counter", "slot")) == {
            (one, slot_of(one)),
            (other, slot_of(other)),
        }

        counter.apply_pending_increments()

        assert [row[1] for row in ledger(other)[2:]] == [f"pending-{n}" for n in range(5)]
        assert [row[0] for row in ledger(one)] == list(range(1, 10))
        values = dict(Counter.objects.values_list("id", "value"))
        assert values == {one: 2**63 - 17, other: 12}
        assert faults_of(other) == []

    @pytest.mark.parametrize(
        ("key", "amount", "state"),
        [("a", -1, "applied"), ("pending-2", 3, "pending")],
    )
    def test_keeps_the_promise_of_the_keys(
        self, old: OldLedger, tallies: tuple[UUID, UUID], key: str, amount: int, state: str
    ) -> None:
        _, other = tallies
        migrate(NOW)

        receipt = accept_increment(
            counter_id=other, viewer=Viewer(old.owner_id), amount=amount, key=key
        )

        assert (receipt.is_new, receipt.state) == (False, state)
        assert Increment.objects.filter(counter=other).count() == 7

    def test_keeps_the_values_of_the_past(self, tallies: tuple[UUID, UUID]) -> None:
        one, other = tallies
        migrate(NOW)
        moments = [BEGINNING + timedelta(minutes=minute) for minute in (0, 1, 6, 7, 9)]

        values = {
            each: [found.value for found in find_standings(each, moments)] for each in tallies
        }

        assert values[one] == [0, *[2**63 - 2] * 4]
        assert values[other] == [0, -1, -1, -3, -3]

    def test_lets_new_ones_come_behind(self, old: OldLedger, tallies: tuple[UUID, UUID]) -> None:
        _, other = tallies
        migrate(NOW)

        counter.increment(counter_id=other, owner_id=old.owner_id, key="new", amount=100)
        counter.apply_pending_increments()

        assert ledger(other)[-1] == (8, "new", 100, 112)

    def test_moves_nothing_where_there_is_nothing(self, old: OldLedger) -> None:
        unused = old.counter("unused")

        migrate(NOW)

        assert Counter.objects.values_list("id", "entries", "settled_at").get() == (unused, 0, None)
        assert not Increment.objects.exists()

    def test_leaves_everything_to_be_purged_with_its_owner(
        self, old: OldLedger, tallies: tuple[UUID, UUID]
    ) -> None:
        migrate(NOW)

        COUNTERS.entomb(old.owner_id)
        while not COUNTERS.purge_chunk(old.owner_id).finished:
            pass

        assert COUNTERS.count(old.owner_id) == 0


class Meanwhile:
    """What another session may do at a moment of a migration: behind each statement with a word."""

    def __init__(self) -> None:
        info = connections["counter"].connection.info
        self._other = psycopg.connect(info.dsn, password=info.password, autocommit=True)
        self.refused: dict[str, list[str]] = {}

    @contextmanager
    def trying(self, fragment: str, *statements: str) -> Iterator[None]:
        def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            answer = execute(sql, *rest)
            if fragment in sql:
                self.refused[fragment] = [each for each in statements if not self._may(each)]
            return answer

        with connections["counter"].execute_wrapper(wrapper):
            yield

    def _may(self, statement: str) -> bool:
        try:
            with self._other.transaction():
                row = self._other.execute(statement)
                return row.description is None or row.fetchone() == (True,)
        except psycopg.errors.LockNotAvailable:
            return False

    def close(self) -> None:
        self._other.close()


class TestKeysOfTheirOwn:
    def test_lets_increments_be_accepted_but_not_moved_while_the_ledger_is_copied(
        self, tallies: tuple[UUID, UUID]
    ) -> None:
        migrate("0005_bounded_lookups")
        consumer = f"SELECT pg_try_advisory_xact_lock({CONSUMER_LOCK}, 63)"
        purge = "LOCK TABLE before.counter_entry IN ROW EXCLUSIVE MODE NOWAIT"
        accept = "LOCK TABLE before.counter_pending IN ROW EXCLUSIVE MODE NOWAIT"
        meanwhile = Meanwhile()

        with (
            meanwhile.trying("FROM counter_entry ORDER BY digest", consumer, purge, accept),
            meanwhile.trying("FROM counter_pending\n", consumer, purge, accept),
        ):
            migrate(NOW)

        meanwhile.close()
        assert list(meanwhile.refused.values()) == [[consumer, purge], [consumer, purge, accept]]

    def test_refuses_a_key_that_lies_in_inbox_and_ledger(
        self, old: OldLedger, tallies: tuple[UUID, UUID]
    ) -> None:
        """Which cannot be, but one of its increments would be counted a second time."""
        _, other = tallies
        put = migrate("0005_bounded_lookups").get_model("counter", "Pending").objects
        doubled = put.create(counter_id=other, key="a", amount=-1, slot=slot_of(other))

        with pytest.raises(IntegrityError, match="counter_key_pkey"):
            migrate(NOW)

        doubled.delete()
        migrate(NOW)
        assert faults_of(other) == []
