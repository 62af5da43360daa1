"""The arithmetic of rounds: medians, spreads, and ratios of what ran side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Arm = TypeVar("Arm")


@dataclass(frozen=True)
class Figure:
    """One thing measured in several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[float]) -> "Figure":
        return cls(median(rounds), min(rounds), max(rounds))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    """Ours to theirs, round by round: a machine that was slow for a while was so for both."""
    return Figure.of([one / other for one, other in zip(ours, theirs, strict=True)])


def rotated(arms: Sequence[Arm], by: int) -> list[Arm]:
    """The same arms, begun with another one each round: none is always the first."""
    start = by % len(arms)
    return [*arms[start:], *arms[:start]]
