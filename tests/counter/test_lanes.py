"""Lanes: each counter in one of them, and worked by one consumer at a time, however many."""

import threading
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import public as counter
from apps.counter.consumer import apply_batch
from apps.counter.lanes import SLOTS, slot_of, slots_of
from apps.counter.models import Counter, Increment, Pending
from apps.users.models import User
from kit.ids import new_id
from tests.conftest import Start
from tests.counter.interleaving import Pause, paused_after, rewritten
from tests.counter.ledger import faults_of
from tests.racing import wait_until_blocked

LOCK = "pg_advisory_xact_lock(%s, slot)"
NO_LOCK = "%s"
APPLYING = "FOR UPDATE SKIP LOCKED"


class TestSlots:
    @pytest.mark.parametrize("lanes", range(1, SLOTS + 1))
    def test_are_each_in_exactly_one_lane(self, lanes: int) -> None:
        slots = [slot for lane in range(lanes) for slot in slots_of(lane, lanes)]

        assert sorted(slots) == list(range(SLOTS))
        assert all(slots_of(lane, lanes) for lane in range(lanes))

    @pytest.mark.parametrize("lanes", range(1, SLOTS + 1))
    def test_say_which_lane_a_counter_is_in(self, lanes: int) -> None:
        for counter_id in [new_id() for _ in range(50)]:
            lane = counter.lane_of(counter_id, lanes)

            assert 0 <= lane < lanes
            assert slot_of(counter_id) in slots_of(lane, lanes)

    def test_get_about_as_many_counters_each(self) -> None:
        counters = [slot_of(new_id()) for _ in range(SLOTS * 200)]

        assert all(100 < counters.count(slot) < 400 for slot in range(SLOTS))


@pytest.mark.django_db(databases=["default", "counter"], transaction=True)
class TestConsumers:
    """Of different numbers of lanes at once, as in the middle of a restart."""

    @pytest.fixture
    def tallies(self, ada: User) -> list[UUID]:
        """One in an even slot and one in an odd one."""
        found: dict[int, UUID] = {}
        while len(found) < 2:
            counter_id = counter.open_counter(owner_id=ada.id, name=str(new_id()))
            found.setdefault(slot_of(counter_id) % 2, counter_id)
        return [found[0], found[1]]

    def accept(self, owner: User, *counter_ids: UUID) -> None:
        for counter_id in counter_ids:
            counter.increment(counter_id=counter_id, owner_id=owner.id)

    def consume(self, lane: int, lanes: int, lock: str = LOCK) -> None:
        with rewritten(LOCK, lock):
            apply_batch(slots=slots_of(lane, lanes))

    def consume_and_pause(self, lane: int, lanes: int, pause: Pause) -> None:
        """Stops before it commits."""
        with paused_after(APPLYING, pause):
            apply_batch(slots=slots_of(lane, lanes))

    def settled(self, counter_id: UUID) -> int:
        return Increment.objects.filter(counter=counter_id, place__isnull=False).count()

    def test_work_their_own_lanes_only(self, ada: User, tallies: list[UUID]) -> None:
        self.accept(ada, *tallies)

        counter.apply_pending_increments(lane=1, lanes=2)

        assert [self.settled(tally) for tally in tallies] == [0, 1]

    @pytest.mark.parametrize(
        ("first", "second"),
        [((0, 1), (0, 2)), ((0, 2), (0, 1)), ((0, 2), (0, 64)), ((0, 1), (0, 1))],
    )
    def test_stand_by_where_another_has_one_of_their_counters(
        self,
        ada: User,
        tallies: list[UUID],
        start: Start,
        first: tuple[int, int],
        second: tuple[int, int],
    ) -> None:
        even = tallies[0]
        self.accept(ada, even)
        pause = Pause()
        one = start(self.consume_and_pause, *first, pause)
        pause.wait_until_reached()
        self.accept(ada, even)
        other = start(self.consume, *second)
        wait_until_blocked(1, using="counter")

        assert waited_for() == ["advisory"]
        assert not other.done()
        pause.end()
        one.result()
        other.result()
        counter.apply_pending_increments()
        assert self.settled(even) == 2
        assert faults_of(even) == []

    def test_work_side_by_side_where_they_have_no_counter_in_common(
        self, ada: User, tallies: list[UUID], start: Start
    ) -> None:
        self.accept(ada, *tallies)
        pause = Pause()
        one = start(self.consume_and_pause, 0, 2, pause)
        pause.wait_until_reached()

        start(self.consume, 1, 2).result()

        assert [self.settled(tally) for tally in tallies] == [0, 1]
        pause.end()
        one.result()
        assert [self.settled(tally) for tally in tallies] == [1, 1]

    def test_would_both_work_one_counter_without_the_locks(
        self, ada: User, tallies: list[UUID], start: Start
    ) -> None:
        """The later increment is settled by the second while the first is at work."""
        even = tallies[0]
        self.accept(ada, even)
        pause = Pause()
        one = start(self.consume_and_pause, 0, 1, pause)
        pause.wait_until_reached()
        self.accept(ada, even)
        other = start(self.consume, 0, 2, NO_LOCK)
        wait_until_blocked(1, using="counter")

        assert waited_for() == ["transactionid"]  # the counter's row, its increment in hand
        pause.end()
        one.result()
        other.result()

    def test_leave_every_sequence_whole_however_many_there_are(
        self, ada: User, start: Start
    ) -> None:
        tallies = [counter.open_counter(owner_id=ada.id, name=str(n)) for n in range(6)]
        over = threading.Event()

        def consume(lane: int, lanes: int) -> None:
            while not over.is_set():
                counter.apply_pending_increments(lane=lane, lanes=lanes)

        def send(tally: UUID) -> None:
            for _ in range(60):
                self.accept(ada, tally)

        consumers = [start(consume, lane, lanes) for lanes in (1, 2, 3) for lane in range(lanes)]
        try:
            for sender in [start(send, tally) for tally in tallies]:
                sender.result()
        finally:
            over.set()
        for consumer in consumers:
            consumer.result()
        counter.apply_pending_increments()

        for tally in tallies:
            assert faults_of(tally) == []
            in_order = Increment.objects.filter(counter=tally).order_by("place")
            assert list(in_order.values_list("place", "result")) == [
                (place, place) for place in range(1, 61)
            ]
        assert set(Counter.objects.values_list("value", "entries")) == {(60, 60)}
        assert not Pending.objects.exists()


def waited_for() -> list[str]:
    """What the sessions that wait for a lock wait for."""
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            "SELECT wait_event FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return [event for (event,) in cursor.fetchall()]
