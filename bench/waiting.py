"""Waiting with a deadline: no run hangs."""

import time
from collections.abc import Callable

from bench.errors import CannotMeasure


def wait_until(
    what: str, look: Callable[[], bool], *, seconds: float, every: float = 0.005
) -> None:
    """Return as soon as `look` is true. Raises CannotMeasure, saying what never came."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise CannotMeasure(f"{what}: not seen within {seconds:g} s")
        time.sleep(every)
