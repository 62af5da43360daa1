"""Increments, deletions and the consumer at the same time, and what holds them apart."""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connections

from apps.counter import public as counter
from apps.counter.consumer import apply_batch
from apps.counter.errors import CounterNotFound
from apps.counter.models import Counter, Increment, Owner
from apps.counter.operations import (
    accept_increment,
    delete_counter,
    purge_deleted_counters,
)
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.directory import Viewer
from kit.holdings import OwnerIsGone
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import Pause, paused_after, rewritten
from tests.counter.ledger import faults_of
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

FENCE = "FOR KEY SHARE"
ACCEPTING = 'INSERT INTO "counter_increment"'
APPLYING = "FOR UPDATE SKIP LOCKED"
DELETING_INCREMENTS = 'DELETE FROM "counter_increment"'
LOCKING_THE_COUNTER = 'FROM "counter_counter" WHERE ("counter_counter"."id"'


@pytest.fixture
def tally(ada: User) -> UUID:
    return counter.open_counter(owner_id=ada.id, name="tally")


class TestManyAtOnce:
    def test_counts_each_key_once_and_gives_each_its_own_result(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        """500 increments from 20 threads, every second one sent twice, the consumer at work."""
        clients = [client_of(ada) for _ in range(20)]
        keys = [f"key-{number}" for number in range(500)]
        sent = keys + keys[::2]
        random.shuffle(sent)

        def send(number: int) -> list[tuple[int, dict[str, Any]]]:
            address = f"/api/counters/{tally}/increments/"
            responses = [clients[number].post(address, {"key": key}) for key in sent[number::20]]
            return [(response.status_code, response.json()) for response in responses]

        senders = [start(send, number) for number in range(20)]
        while not all(sender.done() for sender in senders):
            counter.apply_pending_increments()
        counter.apply_pending_increments()
        answers = [answer for sender in senders for answer in sender.result()]

        statuses = [status for status, _ in answers]
        assert (statuses.count(202), statuses.count(200)) == (500, 250)
        ids_of = {key: {r["id"] for _, r in answers if r["key"] == key} for key in keys}
        assert all(len(ids) == 1 for ids in ids_of.values())
        results = Increment.objects.order_by("result").values_list("result", flat=True)
        assert list(results) == list(range(1, 501))
        assert Counter.objects.get().value == 500
        assert faults_of(tally) == []


class TestUniqueKey:
    """The same key twice at the same moment."""

    def test_lets_the_second_wait_and_gives_it_the_first_receipt(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        first = start(self.accept, ada, tally, pause)
        pause.wait_until_reached()
        second = start(accept_increment, counter_id=tally, viewer=Viewer(ada.id), key="k")
        wait_until_blocked(1, using="counter")
        pause.end()

        (receipt, is_new), (again, again_is_new) = first.result(), second.result()

        assert (is_new, again_is_new) == (True, False)
        assert again.id == receipt.id

    def test_is_what_keeps_a_retry_from_counting_twice(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        with without_constraint("counter_key_once"):
            pause = Pause()
            first = start(self.accept, ada, tally, pause)
            pause.wait_until_reached()
            start(accept_increment, counter_id=tally, viewer=Viewer(ada.id), key="k").result()
            pause.end()
            first.result()
            counter.apply_pending_increments()

            assert Counter.objects.get().value == 2
            assert faults_of(tally) == ["key k was counted twice"]
            Increment.objects.all().delete()

    def accept(self, owner: User, counter_id: UUID, pause: Pause) -> Any:
        """Stops before it commits."""
        with paused_after('SELECT "counter_increment"', pause):
            return accept_increment(counter_id=counter_id, viewer=Viewer(owner.id), key="k")


class TestFence:
    """An increment, or a counter, that comes while its owner is being deleted."""

    def test_makes_the_tombstone_wait_for_what_is_being_accepted(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.accept, ada, tally, FENCE, pause)
        pause.wait_until_reached()
        entombing = start(COUNTERS.entomb, ada.id)
        wait_until_blocked(1, using="counter")
        pause.end()

        accepting.result()
        assert entombing.result() == 2  # the counter and its increment: none is left out
        with pytest.raises(OwnerIsGone):
            counter.open_counter(owner_id=ada.id, name="late")
        with pytest.raises(CounterNotFound):
            counter.increment(counter_id=tally, owner_id=ada.id)
        self.purge(ada)
        assert COUNTERS.count(ada.id) == 0

    def test_lets_the_owner_be_renamed_meanwhile(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.accept, ada, tally, FENCE, pause)
        pause.wait_until_reached()
        User.objects.filter(id=ada.id).update(username="countess")

        COUNTERS.follow()

        assert Owner.objects.get().username == "countess"
        pause.end()
        accepting.result()

    def test_is_what_keeps_increments_from_coming_after_the_tombstone(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.accept, ada, tally, "", pause)
        pause.wait_until_reached()
        said = COUNTERS.entomb(ada.id)
        pause.end()
        accepting.result()

        assert said < COUNTERS.count(ada.id) == 2

    def test_is_what_keeps_a_counter_from_outliving_its_owner(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def create() -> None:
            with rewritten(FENCE, ""), paused_after('INSERT INTO "counter_counter"', pause):
                counter.open_counter(owner_id=ada.id, name="late")

        pause = Pause()
        creating = start(create)
        pause.wait_until_reached()
        COUNTERS.entomb(ada.id)
        self.purge(ada)
        pause.end()

        assert isinstance(creating.exception(), CounterNotFound)  # it is not to be seen, but
        assert COUNTERS.count(ada.id) == 1

    def accept(self, owner: User, counter_id: UUID, fence: str, pause: Pause) -> None:
        """Stops before it commits."""
        with rewritten(FENCE, fence), paused_after(ACCEPTING, pause):
            counter.increment(counter_id=counter_id, owner_id=owner.id)

    def purge(self, owner: User) -> None:
        while not COUNTERS.purge_chunk(owner.id).finished:
            pass


class TestDeletedCounter:
    """A ledger that is being removed while its increments arrive and are applied."""

    def test_refuses_the_increment_that_it_did_not_wait_for(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.increment_and_pause, ada, tally, pause)
        pause.wait_until_reached()
        assert delete_counter(counter_id=tally, viewer=Viewer(ada.id)) is True
        pause.end()

        assert isinstance(accepting.exception(), CounterNotFound)
        assert not Increment.objects.exists()

    def test_keeps_an_increment_from_being_committed_behind_it(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        deleting = start(self.delete_and_pause, ada, tally, DELETING_INCREMENTS, pause)
        pause.wait_until_reached()
        late = start(Increment.objects.create, counter_id=tally, key="late", amount=1)
        wait_until_blocked(1, using="counter")
        pause.end()

        assert deleting.result() is True
        assert isinstance(late.exception(), IntegrityError)

    def test_refuses_the_retry_whose_first_receipt_went_meanwhile(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        counter.increment(counter_id=tally, owner_id=ada.id, key="k")
        pause = Pause()
        retrying = start(self.increment_and_pause, ada, tally, pause)
        pause.wait_until_reached()
        delete_counter(counter_id=tally, viewer=Viewer(ada.id))
        pause.end()

        assert isinstance(retrying.exception(), CounterNotFound)

    def test_waits_for_a_consumer_that_has_its_increments(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        counter.increment(counter_id=tally, owner_id=ada.id)
        pause = Pause()

        def consume() -> None:
            with paused_after(APPLYING, pause):
                apply_batch()

        consumer = start(consume)
        pause.wait_until_reached()
        deleting = start(delete_counter, counter_id=tally, viewer=Viewer(ada.id))
        wait_until_blocked(1, using="counter")
        pause.end()

        consumer.result()
        assert deleting.result() is True

    def test_is_passed_over_by_the_consumer(self, ada: User, tally: UUID, start: Start) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        counter.increment(counter_id=tally, owner_id=ada.id)
        counter.increment(counter_id=other, owner_id=ada.id)
        pause = Pause()
        deleting = start(self.delete_and_pause, ada, tally, DELETING_INCREMENTS, pause)
        pause.wait_until_reached()

        assert apply_batch() == 1

        pause.end()
        assert deleting.result() is True
        assert Counter.objects.get().value == 1

    def test_leaves_increments_to_a_consumer_that_waits_for_it(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        deleting, consumer = self.meet(ada, tally, start, "SKIP LOCKED")

        assert (deleting.result(), consumer.result()) == (False, 1)
        assert purge_deleted_counters() is False
        assert not Counter.objects.exists()

    def test_would_wait_for_ever_if_it_did_not(self, ada: User, tally: UUID, start: Start) -> None:
        both = self.meet(ada, tally, start, "")

        failures = [str(each.exception()) for each in both if each.exception()]
        assert len(failures) == 1
        assert "deadlock detected" in failures[0]

    def meet(self, ada: User, tally: UUID, start: Start, passing_over: str) -> tuple[Any, Any]:
        """The purge has the counter and wants its increments, the consumer the reverse."""
        counter.increment(counter_id=tally, owner_id=ada.id)
        pause = Pause()

        def delete() -> bool:
            with rewritten("SKIP LOCKED", passing_over):
                return self.delete_and_pause(ada, tally, LOCKING_THE_COUNTER, pause)

        deleting = start(delete)
        pause.wait_until_reached()
        consumer = start(apply_batch)
        wait_until_blocked(1, using="counter")
        pause.end()
        return deleting, consumer

    def increment_and_pause(self, owner: User, counter_id: UUID, pause: Pause) -> None:
        with paused_after(ACCEPTING, pause):
            counter.increment(counter_id=counter_id, owner_id=owner.id, key="k")

    def delete_and_pause(self, owner: User, counter_id: UUID, statement: str, pause: Pause) -> bool:
        with paused_after(statement, pause):
            return delete_counter(counter_id=counter_id, viewer=Viewer(owner.id))


class TestTurmoil:
    def test_of_deletions_leaves_every_other_counter_right(
        self, ada: User, bob: User, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two consumers and three purges, and an account that goes, and no deadlock."""
        monkeypatch.setattr("apps.counter.operations.CHUNK_ROWS", 7)
        kept = counter.open_counter(owner_id=ada.id, name="kept")
        doomed = [counter.open_counter(owner_id=ada.id, name=f"{n}") for n in range(6)]
        of_bob = [counter.open_counter(owner_id=bob.id, name=f"{n}") for n in range(3)]

        def count(owner: User, counters: list[UUID], rounds: int) -> None:
            for number, counter_id in itertools.product(range(rounds), counters):
                try:
                    counter.increment(counter_id=counter_id, owner_id=owner.id, amount=number + 1)
                except (CounterNotFound, OwnerIsGone):
                    continue

        def delete_all() -> None:
            for counter_id in doomed:
                delete_counter(counter_id=counter_id, viewer=Viewer(ada.id))
                purge_deleted_counters()
            COUNTERS.entomb(bob.id)
            while not COUNTERS.purge_chunk(bob.id, rows=5).finished:
                purge_deleted_counters()

        counting = [
            *(start(count, ada, [kept, *doomed], 40) for _ in range(3)),
            start(count, bob, of_bob, 60),
            start(delete_all),
        ]

        def sweep() -> None:
            while not all(each.done() for each in counting):
                apply_batch(limit=11)
                purge_deleted_counters()

        sweeping = [start(sweep), start(sweep)]
        for each in [*counting, *sweeping]:
            each.result()

        while purge_deleted_counters():
            pass
        counter.apply_pending_increments()
        assert [each.id for each in Counter.objects.all()] == [kept]
        assert Counter.objects.get().value == 3 * sum(range(1, 41))
        assert faults_of(kept) == []


@contextmanager
def without_constraint(name: str) -> Iterator[None]:
    constraint = next(each for each in Increment._meta.constraints if each.name == name)
    with connections["counter"].schema_editor() as editor:
        editor.remove_constraint(Increment, constraint)
    try:
        yield
    finally:
        with connections["counter"].schema_editor() as editor:
            editor.add_constraint(Increment, constraint)
