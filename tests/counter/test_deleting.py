"""Deleted counters, whose ledger is removed while its increments arrive and are applied."""

import itertools
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import pytest

from apps.counter import public as counter
from apps.counter.accepting import Receipt, accept_increment, accept_increments
from apps.counter.consumer import apply_batch
from apps.counter.errors import CounterNotFound
from apps.counter.lanes import slots_of
from apps.counter.models import Counter, Increment
from apps.counter.operations import delete_counter, purge_deleted_counters
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.directory import Viewer
from kit.holdings import OwnerIsGone
from tests.conftest import Start
from tests.counter.interleaving import (
    ACCEPTING,
    Pause,
    held_up,
    paused_after,
    rewritten,
    waiting_within,
)
from tests.counter.ledger import faults_of
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

ALL = slots_of(0, 1)
IS_LIVE = "counter.deleted_at IS NULL"
LOCK = "FOR KEY SHARE OF counter, owner SKIP LOCKED"
APPLYING = "FOR UPDATE SKIP LOCKED"
DELETING_INCREMENTS = "DELETE FROM counter_pending"
LOCKING_THE_COUNTER = 'FROM "counter_counter" WHERE ("counter_counter"."id"'


class TestDeletedCounter:
    def test_waits_for_an_increment_that_is_being_accepted_and_takes_it_along(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.increment, ada, tally, pause=pause)
        pause.wait_until_reached()
        deleting = start(self.delete, ada, tally)
        wait_until_blocked(1, using="counter")
        pause.end()

        accepting.result()
        assert deleting.result() is True
        assert not Increment.objects.exists()

    def test_would_be_outlived_by_it_without_the_lock(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.increment, ada, tally, pause=pause, lock="")
        pause.wait_until_reached()
        assert self.delete(ada, tally) is True
        pause.end()

        accepting.result()
        assert Increment.objects.count() == 1

    @pytest.mark.parametrize(("lock", "is_kept_out"), [(LOCK, True), ("", False)])
    def test_keeps_an_increment_from_being_committed_behind_it(
        self, ada: User, tally: UUID, start: Start, lock: str, is_kept_out: bool
    ) -> None:
        """One that began to look for its counter while that was still there."""
        with held_up():
            accepting = start(self.increment_slowly, ada, tally, lock=lock)
            wait_until_blocked(1, using="counter")
            assert self.delete(ada, tally) is True

        assert isinstance(accepting.exception(), CounterNotFound) is is_kept_out
        assert Increment.objects.exists() is not is_kept_out

    def test_refuses_an_increment_at_once_while_it_is_being_purged(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        with held_up():
            accepting = start(self.increment_slowly, ada, tally)
            waiting = start(
                self.increment_apart, ada, tally, lock="FOR KEY SHARE OF counter, owner"
            )
            wait_until_blocked(2, using="counter")
            deleting = start(self.delete, ada, tally, LOCKING_THE_COUNTER, pause)
            pause.wait_until_reached()

        assert isinstance(accepting.exception(), CounterNotFound)
        wait_until_blocked(1, using="counter")  # as it would without SKIP LOCKED
        pause.end()
        assert deleting.result() is True
        assert isinstance(waiting.exception(), CounterNotFound)

    def test_waits_for_a_retry_which_has_its_first_receipt_yet(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        self.increment(ada, tally)
        pause = Pause()
        retrying = start(self.retry_in_an_array, ada, tally, pause)
        pause.wait_until_reached()
        deleting = start(self.delete, ada, tally)
        wait_until_blocked(1, using="counter")
        pause.end()

        assert retrying.result().is_new is False
        assert deleting.result() is True

    def test_waits_for_a_consumer_that_has_its_increments(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        counter.increment(counter_id=tally, owner_id=ada.id)
        pause = Pause()

        def consume() -> None:
            with paused_after(APPLYING, pause):
                apply_batch(slots=ALL)

        consumer = start(consume)
        pause.wait_until_reached()
        deleting = start(self.delete, ada, tally)
        wait_until_blocked(1, using="counter")
        pause.end()

        consumer.result()
        assert deleting.result() is True

    def test_is_passed_over_by_the_consumer(self, ada: User, tally: UUID, start: Start) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        counter.increment(counter_id=tally, owner_id=ada.id)
        counter.increment(counter_id=other, owner_id=ada.id)
        pause = Pause()
        deleting = start(self.delete, ada, tally, DELETING_INCREMENTS, pause)
        pause.wait_until_reached()

        assert apply_batch(slots=ALL).settled == 1

        pause.end()
        assert deleting.result() is True
        assert Counter.objects.get().value == 1

    def test_leaves_increments_to_a_consumer_that_waits_for_it(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        deleting, consumer = self.meet(ada, tally, start, "SKIP LOCKED")

        assert (deleting.result(), consumer.result().settled) == (False, 1)
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
                return self.delete(ada, tally, LOCKING_THE_COUNTER, pause)

        deleting = start(delete)
        pause.wait_until_reached()
        consumer = start(apply_batch, slots=ALL)
        wait_until_blocked(1, using="counter")
        pause.end()
        return deleting, consumer

    def increment(
        self, owner: User, counter_id: UUID, *, pause: Pause | None = None, lock: str = LOCK
    ) -> Receipt:
        """In this thread; stops at `pause` before it commits."""
        with rewritten(LOCK, lock), paused_after(ACCEPTING, pause) if pause else nullcontext():
            return accept_increment(counter_id=counter_id, viewer=Viewer(owner.id), key="k")

    def increment_slowly(self, owner: User, counter_id: UUID, *, lock: str = LOCK) -> Receipt:
        with waiting_within(IS_LIVE):
            return self.increment(owner, counter_id, lock=lock)

    def increment_apart(self, owner: User, counter_id: UUID, *, lock: str) -> None:
        """As another process would, slowly."""
        with rewritten(LOCK, lock), waiting_within(IS_LIVE):
            accept_increments(
                counter_id=counter_id, viewer=Viewer(owner.id), increments=[(1, "other")]
            )

    def retry_in_an_array(self, owner: User, counter_id: UUID, pause: Pause) -> Receipt:
        """Whose leave to see the receipt is asked for before it commits."""
        with paused_after(ACCEPTING, pause):
            return accept_increments(
                counter_id=counter_id, viewer=Viewer(owner.id), increments=[(1, "k")]
            )[0]

    def delete(
        self, owner: User, counter_id: UUID, statement: str = "", pause: Pause | None = None
    ) -> bool:
        """In this thread; stops at `pause` after the statement."""
        with paused_after(statement, pause) if pause else nullcontext():
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
                apply_batch(slots=ALL, limit=11)
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
