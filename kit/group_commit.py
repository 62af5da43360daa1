"""Group commit: callers that come at the same time share one transaction.

The technique is that of databases themselves (DeWitt et al., "Implementation techniques for
main memory database systems", 1984): while one group is being written the next one gathers,
so the busier it is, the more share the cost of a commit. As PostgreSQL does with
`commit_delay`, a group that is smaller than the one before it waits a moment for the others,
who are likely to be on their way; one after another never waits. There is no thread of its own:
the first of a group writes for all of it, on its own database connection.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


GATHER_SECONDS = 0.02  # at most


class _Group(Generic[Item, Outcome]):
    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.complete = threading.Event()
        self.items: list[Item] = []
        self.outcomes: list[Outcome] | None = None
        # Who waits passes it on to the next. To wake all at once would make them fight for the
        # interpreter. Who is interrupted with it in hand would leave the others waiting, so this
        # is for threads that no signal reaches: any but the main one.
        self.written = threading.Lock()
        self.written.acquire()


class GroupCommit(Generic[Item, Outcome]):
    """Calls `write` with the items of all who wait, and gives each its own outcome.

    `write` takes a list of items and returns as many outcomes, in the same order, once they
    are committed. If it raises, each of the group writes its item alone, in its own thread: so
    nobody is refused for what is wrong with another. An item may then be written twice, so
    `write` has to be idempotent.
    """

    def __init__(self, write: Callable[[list[Item]], list[Outcome]]) -> None:
        self._write = write
        self._gathering = _Group[Item, Outcome](expected=1)
        self._joining = threading.Lock()
        self._writing = threading.Lock()

    def submit(self, item: Item) -> Outcome:
        """Wait until `item` is written, and return its outcome. Raises what `write` raises."""
        with self._joining:
            group = self._gathering
            place = len(group.items)
            group.items.append(item)
            if len(group.items) == group.expected:
                group.complete.set()
        if place == 0:
            self._lead(group)
        else:
            with group.written:
                pass
        if group.outcomes is None:
            return self._write([item])[0]
        return group.outcomes[place]

    def _lead(self, group: _Group[Item, Outcome]) -> None:
        try:
            with self._writing:  # others join until the group before this one is written
                group.complete.wait(GATHER_SECONDS)
                with self._joining:
                    self._gathering = _Group(expected=len(group.items))
                group.outcomes = self._write(group.items)
        except Exception:
            if len(group.items) == 1:
                raise
        finally:
            with self._joining:
                if self._gathering is group:  # interrupted before it was closed
                    self._gathering = _Group(expected=1)
            group.written.release()
