"""How much memory something takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from tests.racing import in_thread, join


@contextmanager
def grown() -> Iterator[Callable[[], int]]:
    """By how many bytes this process grew at most, within the block."""
    process = psutil.Process()
    seen = [process.memory_info().rss]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.append(process.memory_info().rss)

    looking = in_thread(look)
    try:
        yield lambda: max(seen) - seen[0]
    finally:
        over.set()
        join([looking])
