"""Waiting in tests: for something that must come, with a deadline and never a plain sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def wait_for(what: str, look: Callable[[], Answer], *, seconds: float = 20) -> Answer:
    """The first true answer of `look`. Fails the test with a sentence if it never comes."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not seen within {seconds} s")
        time.sleep(0.02)
