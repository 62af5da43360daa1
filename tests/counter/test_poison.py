"""An increment that cannot be settled: set aside alone, and named; everything else goes on."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, OperationalError, connections
from rest_framework.test import APIClient

from apps.counter import consumer
from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.consumer import BATCH_ROWS, LARGEST
from apps.counter.models import Counter, Increment, Pending
from apps.counter.operations import retry_set_aside
from apps.users.models import User
from kit.directory import Viewer
from kit.ids import new_id
from tests.conftest import Start
from tests.counter.interleaving import rewritten, terminate_other_sessions
from tests.counter.ledger import faults_of
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)


@pytest.fixture
def poison() -> Iterator[None]:
    """Whoever puts a key that begins with "bad" into the ledger is refused by the database."""
    with trigger(
        """
        BEGIN
            IF new.key LIKE 'bad%' THEN RAISE EXCEPTION 'no room for %', new.key; END IF;
            RETURN new;
        END
        """
    ):
        yield


@contextmanager
def trigger(body: str) -> Iterator[None]:
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION before_entry() RETURNS trigger LANGUAGE plpgsql AS $${body}$$;
            CREATE TRIGGER before_entry BEFORE INSERT ON counter_entry
            FOR EACH ROW EXECUTE FUNCTION before_entry();
            """
        )
    try:
        yield
    finally:
        with connections["counter"].cursor() as cursor:
            cursor.execute("DROP FUNCTION before_entry CASCADE")


def accept(counter_id: UUID, owner: User, *keys: str) -> None:
    accept_increments(
        counter_id=counter_id, viewer=Viewer(owner.id), increments=[(1, key) for key in keys]
    )


def applied(counter_id: UUID) -> list[str]:
    """The keys of what is applied, in order."""
    ledger = Increment.objects.filter(counter=counter_id, result__isnull=False)
    return list(ledger.order_by("place").values_list("key", flat=True))


def set_aside() -> list[str]:
    return list(
        Pending.objects.filter(set_aside_at__isnull=False)
        .order_by("position")
        .values_list("key", flat=True)
    )


@contextmanager
def transactions_counted() -> Iterator[list[str]]:
    """The statements that begin a batch, in this thread."""
    begun: list[str] = []

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "pg_advisory_xact_lock" in sql:
            begun.append(sql)
        return execute(sql, *rest)

    with connections["counter"].execute_wrapper(wrapper):
        yield begun


@pytest.mark.usefixtures("poison")
class TestPoisoned:
    def test_is_set_aside_with_the_reason_and_holds_up_nothing(
        self, ada: User, tally: UUID, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        accept(tally, ada, "before", "bad", "behind")
        accept(other, ada, "elsewhere")

        with caplog.at_level(logging.ERROR):
            assert counter.apply_pending_increments() is False

        assert (applied(tally), applied(other)) == (["before", "behind"], ["elsewhere"])
        poisoned = Pending.objects.get()
        assert (poisoned.key, poisoned.set_aside_at is not None) == ("bad", True)
        assert "no room for bad" in poisoned.reason
        [said] = [record.getMessage() for record in caplog.records]
        assert f"increment {poisoned.id} of counter {tally} is set aside" in said
        assert "no room for bad" in said
        assert faults_of(tally) == []

    def test_is_accepted_and_pending_still(self, api: APIClient, ada: User, tally: UUID) -> None:
        accept(tally, ada, "before", "bad", "behind")
        counter.apply_pending_increments()

        shown = api.get(f"/api/counters/{tally}/").json()
        again = api.post(f"/api/counters/{tally}/increments/", {"key": "bad"})

        assert (shown["value"], shown["pending"]) == (2, {"count": 1, "amount": 1})
        assert (again.status_code, again.json()["state"]) == (200, "pending")
        assert Increment.objects.count() == 3

    def test_lets_what_comes_later_be_applied_at_once(self, ada: User, tally: UUID) -> None:
        accept(tally, ada, "bad")
        counter.apply_pending_increments()
        accept(tally, ada, "later")

        with transactions_counted() as begun:
            counter.apply_pending_increments()

        assert applied(tally) == ["later"]
        assert len(begun) == 1  # it did not look for the bad one again

    @pytest.mark.parametrize(
        "keys",
        [
            *(["bad-1", "bad-2"], ["bad-1", "a", "bad-2"], ["a", "bad-1", "bad-2", "b"]),
            *(["bad-1", "a", "b", "c", "bad-2"], [f"bad-{n}" for n in range(9)]),
        ],
    )
    def test_may_be_several(self, ada: User, tally: UUID, keys: list[str]) -> None:
        accept(tally, ada, *keys)

        counter.apply_pending_increments()

        assert set_aside() == [key for key in keys if key.startswith("bad")]
        assert applied(tally) == [key for key in keys if not key.startswith("bad")]
        assert faults_of(tally) == []

    @pytest.mark.parametrize("place", [0, BATCH_ROWS // 3, BATCH_ROWS - 1])
    def test_is_found_in_a_long_batch_by_few_transactions(
        self, ada: User, tally: UUID, place: int
    ) -> None:
        keys = [f"key-{number}" for number in range(BATCH_ROWS)]
        keys[place] = "bad"
        accept(tally, ada, *keys)

        with transactions_counted() as begun:
            counter.apply_pending_increments()

        assert set_aside() == ["bad"]
        assert applied(tally) == [key for key in keys if key != "bad"]
        assert len(begun) < 60

    def test_is_set_aside_where_each_is_settled_by_itself_too(self, ada: User, tally: UUID) -> None:
        Counter.objects.update(value=LARGEST - 2)
        accept(tally, ada, "a", "bad", "b", "too-much")

        counter.apply_pending_increments()

        assert set_aside() == ["bad"]
        assert applied(tally) == ["a", "b"]
        assert Increment.objects.get(key="too-much").state == Increment.State.REFUSED
        places = Increment.objects.filter(place__isnull=False).order_by("place")
        assert list(places.values_list("place", flat=True)) == [1, 2, 3]

    def test_of_another_lane_is_none_of_its_business(self, ada: User, tally: UUID) -> None:
        accept(tally, ada, "bad")
        lane = counter.lane_of(tally, 2)

        counter.apply_pending_increments(lane=1 - lane, lanes=2)
        assert set_aside() == []
        counter.apply_pending_increments(lane=lane, lanes=2)
        assert set_aside() == ["bad"]


class TestRetry:
    def test_settles_it_once_it_can_be(self, ada: User, tally: UUID) -> None:
        with trigger("BEGIN RAISE EXCEPTION 'not today'; END"):
            accept(tally, ada, "k", "l")
            counter.apply_pending_increments()
        assert set_aside() == ["k", "l"]

        retry_set_aside(positions=list(Pending.objects.values_list("position", flat=True)))
        counter.apply_pending_increments()

        assert applied(tally) == ["k", "l"]
        assert not Pending.objects.exists()

    def test_sets_it_aside_again_if_it_cannot_be(
        self, ada: User, tally: UUID, poison: None
    ) -> None:
        accept(tally, ada, "bad", "good")
        counter.apply_pending_increments()

        retry_set_aside(positions=[Pending.objects.get().position])
        accept(tally, ada, "later")
        counter.apply_pending_increments()

        assert set_aside() == ["bad"]
        assert applied(tally) == ["good", "later"]


class TestNoPoison:
    """What goes wrong with the database says nothing about an increment."""

    def consume(self) -> None:
        counter.apply_pending_increments()

    def test_is_a_connection_that_is_lost(self, ada: User, tally: UUID, start: Start) -> None:
        accept(tally, ada, "k")
        with connections["counter"].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            with trigger("BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END"):
                consumer = start(self.consume)
                wait_until_blocked(1, using="counter")
                terminate_other_sessions()

                assert isinstance(consumer.exception(), OperationalError)
            cursor.execute("SELECT pg_advisory_unlock(7)")

        self.left_in_the_queue_and_applied_later(tally)

    def test_is_a_lock_that_is_not_given_in_time(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def consume_impatiently() -> None:
            with connections["counter"].cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
            self.consume()

        accept(tally, ada, "k")
        with connections["counter"].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            with trigger("BEGIN PERFORM pg_advisory_xact_lock(7); RETURN new; END"):
                error = start(consume_impatiently).exception()
            cursor.execute("SELECT pg_advisory_unlock(7)")

        assert isinstance(error, OperationalError)
        assert "lock timeout" in str(error)
        self.left_in_the_queue_and_applied_later(tally)

    def test_is_a_server_that_only_reads(self, ada: User, tally: UUID, start: Start) -> None:
        def consume_from_a_standby() -> None:
            with connections["counter"].cursor() as cursor:
                cursor.execute("SET default_transaction_read_only = on")
            self.consume()

        accept(tally, ada, "k")

        error = start(consume_from_a_standby).exception()

        assert isinstance(error, DatabaseError)
        assert "read-only transaction" in str(error)
        self.left_in_the_queue_and_applied_later(tally)

    def test_is_a_statement_that_takes_too_long(self, ada: User, tally: UUID, start: Start) -> None:
        def consume_impatiently() -> None:
            with connections["counter"].cursor() as cursor:
                cursor.execute("SET statement_timeout = '100ms'")
            self.consume()

        accept(tally, ada, "k")
        with trigger("BEGIN PERFORM pg_sleep(20); RETURN new; END"):
            error = start(consume_impatiently).exception()

        assert isinstance(error, OperationalError)
        self.left_in_the_queue_and_applied_later(tally)

    def test_is_a_statement_that_is_wrong_in_itself(self, ada: User, tally: UUID) -> None:
        accept(tally, ada, "k")

        with (
            rewritten("INSERT INTO counter_entry", "INSERT INTO no_such_table"),
            pytest.raises(DatabaseError, match="no_such_table"),
        ):
            self.consume()

        self.left_in_the_queue_and_applied_later(tally)

    def left_in_the_queue_and_applied_later(self, tally: UUID) -> None:
        assert set_aside() == []
        self.consume()
        assert applied(tally) == ["k"]


class TestStray:
    def test_without_a_counter_is_set_aside(self, ada: User, tally: UUID) -> None:
        """It cannot arise, but for a hand in the database."""
        slot = counter.lane_of(tally, counter.MOST_LANES)
        Pending.objects.create(counter_id=new_id(), key="stray", amount=1, slot=slot)
        accept(tally, ada, "k")

        assert counter.apply_pending_increments(seconds=5) is False

        assert applied(tally) == ["k"]
        assert set_aside() == ["stray"]
        assert (counter.count_pending(), counter.count_set_aside()) == ((0, 0.0), 1)


class TestDeadline:
    def test_does_not_break_off_the_search(
        self, tally: UUID, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else a machine that is too slow for it would begin it again, for ever."""
        moments = iter([0.0])  # then time is up
        monkeypatch.setattr(consumer, "time", SimpleNamespace(monotonic=lambda: next(moments, 2.0)))
        slot = counter.lane_of(tally, counter.MOST_LANES)
        Pending.objects.create(counter_id=new_id(), key="stray", amount=1, slot=slot)

        consumer._apply_all([slot], deadline=1.0)

        assert set_aside() == ["stray"]
