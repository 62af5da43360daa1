"""The arithmetic behind the benchmark's page."""

import pytest

from bench.figures import Figure, ratio, rotated
from harness.figures import quantile


class TestFigure:
    def test_is_the_median_with_lowest_and_highest(self) -> None:
        assert Figure.of([5, 1, 100]) == Figure(median=5, low=1, high=100)

    def test_lies_between_the_middle_two_of_an_even_number(self) -> None:
        assert Figure.of([1, 2, 4, 9]).median == 3


class TestRatio:
    def test_is_taken_round_by_round(self) -> None:
        # Slow and fast moments of the machine, in which ours was always twice theirs.
        assert ratio([20, 200, 2], [10, 100, 1]) == Figure(median=2, low=2, high=2)

    def test_refuses_rounds_that_did_not_run_side_by_side(self) -> None:
        with pytest.raises(ValueError, match="shorter"):
            ratio([1, 2, 3], [1, 2])


class TestRotated:
    def test_has_each_arm_first_once(self) -> None:
        orders = [rotated("abc", number) for number in range(4)]

        assert ["".join(order) for order in orders] == ["abc", "bca", "cab", "abc"]


class TestQuantile:
    @pytest.mark.parametrize(("share", "found"), [(0.5, 50), (0.99, 99), (1, 100), (0, 1)])
    def test_is_not_exceeded_by_that_share(self, share: float, found: int) -> None:
        assert quantile(list(range(100, 0, -1)), share) == found
