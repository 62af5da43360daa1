"""The consumer: every increment its own result, all of a batch or none, one consumer at a time."""

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, transaction

from apps.counter import public as counter
from apps.counter.consumer import LARGEST, SMALLEST, apply_batch
from apps.counter.lanes import slots_of
from apps.counter.models import Counter, Increment
from apps.users.models import User
from tests.conftest import Start
from tests.counter.interleaving import (
    ACCEPTING,
    Died,
    Pause,
    dying_at,
    paused_after,
    rewritten,
    terminate_other_sessions,
)
from tests.counter.ledger import faults_of
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

ALL = slots_of(0, 1)
SLOTS_LOCK = "pg_advisory_xact_lock(%s, slot)"
COUNTERS_LOCK = "FOR NO KEY UPDATE"
NO_LOCK = {SLOTS_LOCK: "%s::int + slot", COUNTERS_LOCK: ""}
APPLYING = "FOR UPDATE SKIP LOCKED"


def accept(counter_id: UUID, *amounts: int) -> None:
    owner_id = Counter.objects.values_list("owner", flat=True).get(id=counter_id)
    for amount in amounts:
        counter.increment(counter_id=counter_id, owner_id=owner_id, amount=amount)


def results(counter_id: UUID) -> list[int | None]:
    ordered = Increment.objects.filter(counter=counter_id).order_by("id")
    return list(ordered.values_list("result", flat=True))


def value(counter_id: UUID) -> int:
    return Counter.objects.values_list("value", flat=True).get(id=counter_id)


class TestApply:
    def test_gives_each_the_value_just_after_it(self, tally: UUID) -> None:
        accept(tally, 5, -2, 10, -20)

        assert counter.apply_pending_increments() is False

        assert results(tally) == [5, 3, 13, -7]
        assert value(tally) == -7

    def test_keeps_counters_apart(self, ada: User, tally: UUID) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        for _ in range(3):
            accept(tally, 1)
            accept(other, 10)

        counter.apply_pending_increments()

        assert results(tally) == [1, 2, 3]
        assert results(other) == [10, 20, 30]

    def test_goes_on_over_batches_where_it_was(self, tally: UUID) -> None:
        accept(tally, *range(1, 8))

        settled = [apply_batch(slots=ALL, limit=3).settled for _ in range(4)]

        assert settled == [3, 3, 1, 0]
        assert results(tally) == [1, 3, 6, 10, 15, 21, 28]
        assert faults_of(tally) == []

    def test_leaves_what_is_applied_alone_for_ever(self, tally: UUID) -> None:
        accept(tally, 1, 2)
        counter.apply_pending_increments()
        before = list(Increment.objects.order_by("id").values())

        assert apply_batch(slots=ALL).settled == 0

        assert list(Increment.objects.order_by("id").values()) == before

    def test_says_that_there_may_be_more_when_its_time_is_up(self, tally: UUID) -> None:
        accept(tally, 1)

        assert counter.apply_pending_increments(seconds=0) is True

        assert results(tally) == [None]


class TestRange:
    """The signed 64-bit range is never left; what would leave it holds up nothing."""

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_refuses_only_those_that_would_leave_it(self, ada: User, limit: int) -> None:
        high = counter.open_counter(owner_id=ada.id, name="high")
        low = counter.open_counter(owner_id=ada.id, name="low")
        other = counter.open_counter(owner_id=ada.id, name="other")
        Counter.objects.filter(id=high).update(value=LARGEST - 3)
        Counter.objects.filter(id=low).update(value=SMALLEST + 3)
        for amount in (2, 2, 1, 1, -4, 5):
            accept(high, amount)
            accept(low, -amount)
            accept(other, amount)

        while apply_batch(slots=ALL, limit=limit).settled:
            pass

        expected = [LARGEST - 1, None, LARGEST, None, LARGEST - 4, None]
        assert results(high) == expected
        assert results(low) == [None if each is None else -each - 1 for each in expected]
        assert results(other) == [2, 4, 5, 6, 2, 7]
        assert (value(high), value(low), value(other)) == (LARGEST - 4, SMALLEST + 4, 7)
        assert not Increment.objects.filter(settled_at=None).exists()

    def test_is_not_left_by_a_sum_on_the_way(self, tally: UUID) -> None:
        Counter.objects.update(value=LARGEST)
        accept(tally, 10**9, -(10**9))

        counter.apply_pending_increments()

        assert results(tally) == [None, LARGEST - 10**9]


class TestDeath:
    """Killed before any of its statements, a batch leaves nothing of itself behind."""

    @pytest.mark.parametrize("statement", [1, 2])
    def test_leaves_all_of_a_batch_to_the_next(self, tally: UUID, statement: int) -> None:
        accept(tally, 1, 2, 3)

        with pytest.raises(Died), dying_at(statement):
            apply_batch(slots=ALL)

        assert results(tally) == [None, None, None]
        counter.apply_pending_increments()
        assert results(tally) == [1, 3, 6]

    def test_leaves_all_where_each_is_settled_by_itself(self, tally: UUID) -> None:
        Counter.objects.update(value=LARGEST - 4)
        accept(tally, 1, 2, 3)

        for statement in itertools.count(1):
            try:
                with dying_at(statement):
                    apply_batch(slots=ALL)
            except Died:
                assert results(tally) == [None, None, None]
                assert value(tally) == LARGEST - 4
            else:
                break

        assert statement > 5, "it was hardly ever killed"
        assert results(tally) == [LARGEST - 3, LARGEST - 1, None]

    def test_of_its_connection_leaves_all_of_a_batch_to_the_next(
        self, tally: UUID, start: Start
    ) -> None:
        accept(tally, 1, 2, 3)
        pause = Pause()
        consumer = start(consume, pause)
        pause.wait_until_reached()
        terminate_other_sessions()
        pause.end()

        assert isinstance(consumer.exception(), OperationalError)
        assert results(tally) == [None, None, None]
        counter.apply_pending_increments()
        assert results(tally) == [1, 3, 6]


class TestLocks:
    """Two consumers at once. The slots' locks keep the order, the counters' the sums."""

    def test_make_the_second_stand_by(self, tally: UUID, start: Start) -> None:
        self.meet(tally, start, without=[])

        assert faults_of(tally) == []
        assert results(tally) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

    def test_of_counters_are_enough_for_the_sums(self, tally: UUID, start: Start) -> None:
        self.meet(tally, start, without=[SLOTS_LOCK])

        assert faults_of(tally) == []

    def test_are_what_keeps_two_from_giving_the_same_results(
        self, tally: UUID, start: Start
    ) -> None:
        self.meet(tally, start, without=[SLOTS_LOCK, COUNTERS_LOCK])

        assert results(tally) == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
        faults = faults_of(tally)
        assert "the results [1, 1, 2, 2, 3, 3, 4, 4, 5, 5] are not a walk" in faults
        assert "the places are [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], the counter has 10 entries" in faults

    def meet(self, tally: UUID, start: Start, *, without: list[str]) -> None:
        """The second comes while the first has applied its batch and not yet committed."""
        accept(tally, *[1] * 10)
        pause = Pause()
        first = start(consume, pause, limit=5, without=without)
        pause.wait_until_reached()
        second = start(consume, limit=5, without=without)
        wait_until_blocked(1, using="counter")
        pause.end()
        first.result()
        second.result()

    def test_of_slots_make_the_second_wait_for_a_first_that_waits(
        self, tally: UUID, ada: User, start: Start
    ) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        first, second = self.overtake(tally, other, start, without=[], waiting=2)

        first.result()
        second.result()
        assert results(other) == [1, 2, 3, 4, 5]

    def test_of_slots_are_what_keeps_a_later_batch_from_being_the_first(
        self, tally: UUID, ada: User, start: Start
    ) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        first, second = self.overtake(tally, other, start, without=[SLOTS_LOCK], waiting=1)

        first.result()
        second.result()
        assert results(other) == [3, 4, 5, 1, 2]
        assert faults_of(other) == []

    def overtake(
        self, tally: UUID, other: UUID, start: Start, *, without: list[str], waiting: int
    ) -> tuple[Any, Any]:
        """The first has its rows, and waits for `tally`; then comes the second, for `other`."""
        accept(tally, 1)
        accept(other, *[1] * 5)
        with transaction.atomic(using="counter"):  # noqa: TID251  (holds the first up)
            Counter.objects.select_for_update().get(id=tally)
            first = start(consume, limit=4, without=without)
            wait_until_blocked(1, using="counter")
            second = start(consume, limit=4, without=without)
            if waiting == 1:
                second.result()
            wait_until_blocked(waiting, using="counter")
        return first, second

    def test_let_increments_be_accepted_meanwhile(self, tally: UUID, start: Start) -> None:
        accept(tally, 1)
        pause = Pause()
        consumer = start(consume, pause)
        pause.wait_until_reached()
        accept(tally, 1, 1)
        pause.end()
        consumer.result()

        assert results(tally) == [1, None, None]
        counter.apply_pending_increments()
        assert faults_of(tally) == []

    def test_are_not_kept_from_by_an_increment_that_is_being_accepted(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        accept(tally, 1)
        pause = Pause()

        def accept_and_pause() -> None:
            with paused_after(ACCEPTING, pause):
                counter.increment(counter_id=tally, owner_id=ada.id)

        accepting = start(accept_and_pause)
        pause.wait_until_reached()

        assert apply_batch(slots=ALL).settled == 1

        pause.end()
        accepting.result()
        counter.apply_pending_increments()
        assert results(tally) == [1, 2]
        assert faults_of(tally) == []


def consume(pause: Pause | None = None, *, limit: int = 5000, without: Sequence[str] = ()) -> int:
    """Apply a batch, in this thread; stop at `pause` before it is committed."""
    with ExitStack() as stack:
        for lock in without:
            stack.enter_context(rewritten(lock, NO_LOCK[lock]))
        if pause:
            stack.enter_context(paused_after(APPLYING, pause))
        return apply_batch(slots=ALL, limit=limit).settled
