"""The arithmetic that both need."""

from collections.abc import Sequence
from math import ceil


def quantile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest of the values that is not exceeded by this share of them."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]
