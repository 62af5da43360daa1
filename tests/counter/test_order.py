"""The order of a counter: places without a gap, times that never go back, sums in range."""

from itertools import accumulate, pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.consumer import LARGEST, SMALLEST, apply_batch
from apps.counter.lanes import slots_of
from apps.counter.models import LARGEST_AMOUNT, Counter, Entry, Increment
from apps.users.models import User
from kit.directory import Viewer
from kit.ids import new_id
from tests.counter.interleaving import rewritten

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

ALL_SLOTS = slots_of(0, 1)
CLOCK = "clock_timestamp()"
AN_HOUR_AGO = "(clock_timestamp() - interval '1 hour')"
NEVER_BEFORE = "greatest(first_value(settled_at) OVER in_order, clock.time)"


def accept(counter_id: UUID, owner: User, *amounts: int) -> None:
    accept_increments(
        counter_id=counter_id,
        viewer=Viewer(owner.id),
        increments=[(amount, None) for amount in amounts],
    )


def places_and_results(counter_id: UUID) -> list[tuple[int, int | None]]:
    settled = Increment.objects.filter(counter=counter_id, place__isnull=False)
    return list(settled.order_by("place").values_list("place", "result"))


class TestTime:
    """`settled_at` never goes back, whatever the clock of the database does."""

    def settle_with_the_clock_going_back(self, tally: UUID, ada: User) -> list[bool]:
        """Settle a batch, another an hour earlier. Which times are not before the last one."""
        accept(tally, ada, 1, 1)
        apply_batch(slots=ALL_SLOTS)
        accept(tally, ada, 1, 1)
        with rewritten(CLOCK, AN_HOUR_AGO):
            apply_batch(slots=ALL_SLOTS)
        accept(tally, ada, 1)
        apply_batch(slots=ALL_SLOTS)
        times = list(Entry.objects.order_by("place").values_list("settled_at", flat=True))
        assert Counter.objects.get().settled_at == times[-1]
        assert len(times) == 5
        return [before <= after for before, after in pairwise(times)]

    def test_stands_still_while_the_clock_is_behind(self, ada: User, tally: UUID) -> None:
        assert all(self.settle_with_the_clock_going_back(tally, ada))

    def test_stands_still_where_each_is_settled_by_itself(self, ada: User, tally: UUID) -> None:
        Counter.objects.update(value=LARGEST - 3)

        assert all(self.settle_with_the_clock_going_back(tally, ada))

        results = [result for _, result in places_and_results(tally)]
        assert results == [LARGEST - 2, LARGEST - 1, LARGEST, None, None]

    def test_would_go_back_without_the_comparison(self, ada: User, tally: UUID) -> None:
        with rewritten(NEVER_BEFORE, "clock.time"):
            kept = self.settle_with_the_clock_going_back(tally, ada)

        assert kept == [True, False, True, True]

    def test_is_of_each_counter_alone(self, ada: User, tally: UUID) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        accept(tally, ada, 1)
        apply_batch(slots=ALL_SLOTS)
        accept(tally, ada, 1)
        accept(other, ada, 1)
        with rewritten(CLOCK, AN_HOUR_AGO):
            apply_batch(slots=ALL_SLOTS)

        settled_at = dict(Entry.objects.order_by("place").values_list("counter", "settled_at"))

        assert settled_at[other] < settled_at[tally]


class TestPlaces:
    def test_go_on_without_a_gap_over_batches_of_any_size(self, ada: User, tally: UUID) -> None:
        other = counter.open_counter(owner_id=ada.id, name="other")
        amounts = [*range(1, 41)]
        for amount in amounts:
            accept(tally, ada, amount)
            accept(other, ada, -amount)

        limits = (1, 7, 2, 60, 5, 60)
        settled = [apply_batch(slots=ALL_SLOTS, limit=limit).settled for limit in limits]

        sums = list(accumulate(amounts))
        assert places_and_results(tally) == list(enumerate(sums, start=1))
        assert places_and_results(other) == [(n, -sum) for n, sum in enumerate(sums, start=1)]
        assert settled == [1, 7, 2, 60, 5, 5]
        assert set(Counter.objects.values_list("entries", flat=True)) == {40}

    def test_of_a_pending_one_there_is_none(self, ada: User, tally: UUID) -> None:
        accept(tally, ada, 1)

        assert Increment.objects.get().place is None
        assert Counter.objects.get().entries == 0


def expected(value: int, amounts: list[int]) -> list[int | None]:
    """The results, counted by Python, whose whole numbers have no range."""
    results: list[int | None] = []
    for amount in amounts:
        if SMALLEST <= value + amount <= LARGEST:
            value += amount
            results.append(value)
        else:
            results.append(None)
    return results


class TestRange:
    @given(
        start=some.sampled_from([LARGEST, SMALLEST, 0])
        | some.integers(LARGEST - 3 * LARGEST_AMOUNT, LARGEST)
        | some.integers(SMALLEST, SMALLEST + 3 * LARGEST_AMOUNT),
        amounts=some.lists(
            some.integers(-LARGEST_AMOUNT, LARGEST_AMOUNT).filter(bool)
            | some.sampled_from([LARGEST_AMOUNT, -LARGEST_AMOUNT, 1, -1]),
            min_size=1,
            max_size=20,
        ),
        limit=some.integers(1, 25),
    )
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_is_never_left_and_places_have_no_gap(
        self, ada: User, start: int, amounts: list[int], limit: int
    ) -> None:
        tally = counter.open_counter(owner_id=ada.id, name=str(new_id()))
        Counter.objects.filter(id=tally).update(value=start)
        accept(tally, ada, *amounts)

        while apply_batch(slots=ALL_SLOTS, limit=limit).settled:
            pass

        assert places_and_results(tally) == list(enumerate(expected(start, amounts), start=1))
        stands = Counter.objects.get(id=tally)
        applied = [result for result in expected(start, amounts) if result is not None]
        assert (stands.value, stands.entries) == ([start, *applied][-1], len(amounts))
