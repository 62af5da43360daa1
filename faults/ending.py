"""How a run ends when somebody asks for it: once, in order, and not in the middle of an end."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM)


def heed_signals() -> None:
    """From now on ctrl-C, or SIGTERM, is the orderly end of this process."""
    for each in ASKING:
        signal.signal(each, _end)


def _end(number: int, frame: FrameType | None) -> None:
    """Once: what follows is the orderly end, which a second signal must not cut short."""
    for each in ASKING:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whoever asks for the end meanwhile is heeded behind the block."""
    asked: list[int] = []
    before = {
        each: signal.signal(each, lambda number, frame: asked.append(number)) for each in ASKING
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if asked:
        signal.raise_signal(signal.Signals(asked[0]))
