"""The consumer's promise to look again: nobody calls it meanwhile, and nothing is forgotten."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import accepting, consumer
from apps.counter import public as counter
from apps.counter.consumer import BUSY_ROWS, WATCH_SECONDS
from apps.counter.events import increments_accepted
from apps.counter.lanes import slot_of
from apps.counter.models import Pending, Watch
from apps.counter.watches import READ_EVERY, Watches
from apps.users.models import User
from tests.counter.interleaving import Died
from tests.polling import wait_for

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)


class Clock:
    """Stands still until it is put forward."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


class PassingTime:
    """The consumer's `time`, which passes only while it sleeps.

    `event` happens once it is asked for so late a time, for the `ask`-th time.
    """

    def __init__(self, event: Callable[[], object], *, late: float, ask: int = 1) -> None:
        self._now = 0.0
        self._event = event
        self._late = late
        self._asks_left = ask

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def monotonic(self) -> float:
        if self._now >= self._late:
            self._asks_left -= 1
            if self._asks_left == 0:
                self._event()
        return self._now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watches(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Watches:
    """Of a process that has just been started."""
    watches = Watches(clock)
    monkeypatch.setattr(accepting, "_watches", watches)
    return watches


@pytest.fixture
def calls() -> Iterator[list[UUID]]:
    """The counters for which the consumer was called."""
    called: list[UUID] = []

    def hear(*, counter_ids: set[UUID], **_: Any) -> None:
        called.extend(counter_ids)

    increments_accepted.connect(hear)
    yield called
    increments_accepted.disconnect(hear)


def promise(*slots: int, seconds: float) -> None:
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO counter_watch (slot, until)
            SELECT slot, clock_timestamp() + make_interval(secs => %s)
            FROM unnest(%s::int[]) AS slot
            ON CONFLICT (slot) DO UPDATE SET until = EXCLUDED.until
            """,
            [seconds, list(slots)],
        )


@pytest.mark.usefixtures("watches")
class TestCall:
    def accept(self, owner: User, counter_id: UUID) -> None:
        counter.increment(counter_id=counter_id, owner_id=owner.id)

    def test_is_made_where_nothing_was_promised(
        self, ada: User, tally: UUID, calls: list[UUID]
    ) -> None:
        self.accept(ada, tally)
        self.accept(ada, tally)

        assert calls == [tally, tally]

    def test_is_not_made_while_a_promise_is_in_force(
        self, ada: User, tally: UUID, calls: list[UUID]
    ) -> None:
        promise(slot_of(tally), seconds=60)

        self.accept(ada, tally)
        self.accept(ada, tally)

        assert calls == []

    def test_is_made_again_once_it_is_over(
        self, ada: User, tally: UUID, calls: list[UUID], clock: Clock
    ) -> None:
        promise(slot_of(tally), seconds=60)
        self.accept(ada, tally)
        promise(slot_of(tally), seconds=-1)  # the real clock, put forward

        clock.time += 61
        self.accept(ada, tally)

        assert calls == [tally]

    def test_is_made_where_the_promise_is_of_other_slots(
        self, ada: User, tally: UUID, calls: list[UUID]
    ) -> None:
        promise(*(slot for slot in range(64) if slot != slot_of(tally)), seconds=60)

        self.accept(ada, tally)

        assert calls == [tally]

    def test_is_not_made_for_what_was_refused_or_known(
        self, ada: User, tally: UUID, calls: list[UUID]
    ) -> None:
        counter.increment(counter_id=tally, owner_id=ada.id, key="k")
        calls.clear()

        counter.increment(counter_id=tally, owner_id=ada.id, key="k")

        assert calls == []


class TestCovers:
    def test_ends_with_the_promise_though_it_is_not_read_again(
        self, clock: Clock, watches: Watches
    ) -> None:
        """A consumer that died cannot take it back: it costs its length, and no more."""
        promise(7, seconds=60)

        answers = []
        for forward in (0.0, 1.0, 57.0, 3.0):
            clock.time += forward
            answers.append(watches.covers(7))
            promise(7, seconds=-1)  # nor could it be lengthened by reading it later

        assert answers == [True, True, True, False]

    def test_is_counted_from_before_the_promise_was_read(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long reading took."""

        def read_slowly() -> dict[int, float]:
            clock.time += 5
            return answers.pop()

        answers: list[dict[int, float]] = [{}, {7: 3.0}]
        monkeypatch.setattr("apps.counter.watches.list_watches", read_slowly)
        watches = Watches(clock)

        assert watches.covers(7) is True  # it was in force when it was read
        assert watches.covers(7) is False

    def test_reads_at_most_so_often_where_nothing_is_promised(
        self, clock: Clock, watches: Watches
    ) -> None:
        assert watches.covers(7) is False
        promise(7, seconds=60)

        clock.time += READ_EVERY / 2
        assert watches.covers(7) is False
        clock.time += READ_EVERY
        assert watches.covers(7) is True


class TestPromise:
    """Given by a busy consumer, and kept: who relied on it is settled without a call.

    The clock of who accepts stands still: once seen, a promise is in force to the end.
    """

    @pytest.fixture(autouse=True)
    def busy(
        self, ada: User, tally: UUID, watches: Watches, calls: list[UUID], clock: Clock
    ) -> None:
        """Enough for the consumer to go on looking."""
        for _ in range(BUSY_ROWS):
            counter.increment(counter_id=tally, owner_id=ada.id)
        calls.clear()
        clock.time += READ_EVERY

    def accept(self, owner: User, counter_id: UUID) -> None:
        promise(slot_of(counter_id), seconds=60)  # which to see is left to no luck
        counter.increment(counter_id=counter_id, owner_id=owner.id)

    def test_is_given_for_the_slots_of_the_lane(self, tally: UUID) -> None:
        lane = counter.lane_of(tally, 2)

        counter.keep_applying(lane=lane, lanes=2)

        slots = Watch.objects.order_by("slot").values_list("slot", flat=True)
        assert list(slots) == [*range(lane, 64, 2)]

    def test_is_not_given_where_there_is_little_to_do(self, tally: UUID) -> None:
        Pending.objects.filter(pk=Pending.objects.latest("pk").pk).delete()

        assert counter.keep_applying() is False

        assert not Watch.objects.exists()
        assert not Pending.objects.exists()

    def test_is_of_a_look_behind_its_end(
        self, ada: User, tally: UUID, calls: list[UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Committed at its last moment, when the consumer has just looked."""
        after_the_last_look = 2  # it asks before it looks, and whether to look again
        time = PassingTime(
            lambda: self.accept(ada, tally), late=WATCH_SECONDS, ask=after_the_last_look
        )
        monkeypatch.setattr(consumer, "time", time)

        assert counter.keep_applying() is False

        assert calls == []
        assert not Pending.objects.exists()

    def test_that_outlives_its_consumers_time_has_the_consumer_called_again(
        self, ada: User, tally: UUID, calls: list[UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = WATCH_SECONDS / 2
        time = PassingTime(lambda: self.accept(ada, tally), late=over)
        monkeypatch.setattr(consumer, "time", time)

        may_be_more = counter.keep_applying(seconds=over)

        assert calls == []
        assert may_be_more is True

    def test_of_a_consumer_that_died_costs_its_length_at_most(
        self, ada: User, tally: UUID, calls: list[UUID], clock: Clock
    ) -> None:
        with pytest.raises(Died), dying_after("INSERT INTO counter_watch"):
            counter.keep_applying()

        counter.increment(counter_id=tally, owner_id=ada.id)
        unheard = list(calls)
        clock.time += WATCH_SECONDS
        wait_for("the end of the promise", lambda: not Watches().covers(slot_of(tally)))
        counter.increment(counter_id=tally, owner_id=ada.id)

        assert (unheard, calls) == ([], [tally])
        counter.apply_pending_increments()
        assert not Pending.objects.exists()


@contextmanager
def dying_after(fragment: str) -> Iterator[None]:
    """This thread dies at the statement behind the first that contains `fragment`."""
    met = False

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal met
        if met:
            raise Died
        met = fragment in sql
        return execute(sql, *rest)

    with connections["counter"].execute_wrapper(wrapper):
        yield
