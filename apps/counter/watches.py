"""What this process knows of the consumers' promises to look again."""

import time
from collections.abc import Callable

from apps.counter.queries import list_watches


class Watches:
    """Remembers each promise until it ends, so that it is seldom read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[int, float] = {}
        self._read_again = 0.0

    def covers(self, slot: int) -> bool:
        """Whether what is committed by now will be looked at, though nobody is called.

        A promise that is found in force after a commit is of a look that sees the commit.
        """
        now = self._clock()
        if now >= self._until.get(slot, 0.0) and now >= self._read_again:
            # Counted from before the question: what is left of a promise is rather too short.
            self._until = {slot: now + left for slot, left in list_watches().items()}
            self._read_again = now + READ_EVERY
        return now < self._until.get(slot, 0.0)


READ_EVERY = 0.02  # seconds
