"""Starts parts one after the other, watches over them, and stops them in reverse order."""

import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self

from epis.embedded.ground import CannotStart
from epis.supervisor.child import Child, Part, Say

TICK = 0.05
READY_SECONDS = 120


class StopAsked(Exception):
    """A signal asked for the end while something was still starting."""


class Supervisor:
    """Use as a context: leaving it, for whatever reason, stops every child in order.

    Signals only raise a flag, so that a second ctrl-C cannot break an ordered stop.
    """

    def __init__(self, say: Say, housekeeping: Callable[[], None] = lambda: None) -> None:
        self._say = say
        self._housekeeping = housekeeping
        self._groups: list[list[Child]] = []
        self._stop_asked = False

    def __enter__(self) -> Self:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup the hang-up is ignored, and stays so.
            if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._ask_to_stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._stop()
        return isinstance(error, StopAsked)

    def start(self, *parts: Part) -> None:
        """Start the parts together and wait until they are ready.

        Raises CannotStart if one ends before it is, and StopAsked.
        """
        group = [Child(part, self._say) for part in parts]
        self._groups.append(group)
        for child in group:
            child.start()
        deadline = time.monotonic() + READY_SECONDS
        while not all(child.is_ready for child in group):
            self.look()
            for child in group:
                if not child.is_running:
                    raise CannotStart(f"{child.part.name} did not start: {child.last_end}")
                if not child.is_ready and time.monotonic() > deadline:
                    raise CannotStart(f"{child.part.name} was not ready in {READY_SECONDS} s")
            self.go_on()
            time.sleep(TICK)

    def go_on(self) -> None:
        """Raises StopAsked if a signal came meanwhile."""
        if self._stop_asked:
            raise StopAsked

    def watch(self) -> None:
        """Keep all children running until a signal asks for the end."""
        while not self._stop_asked:
            self.look()
            self._housekeeping()
            time.sleep(TICK)

    def _children(self) -> Iterator[Child]:
        for group in self._groups:
            yield from group

    def look(self) -> None:
        """Do what is due for every child, and return."""
        for child in self._children():
            was_ready = child.is_ready
            child.look()
            if child.is_ready and not was_ready and child.lives > 1:
                self._replace_followers(child)

    def _replace_followers(self, leader: Child) -> None:
        """Not asked to end in order: a worker that has lost its broker would finish what it can no
        longer acknowledge, for twenty seconds and more, or never end at all (docs/faults.md)."""
        for child in self._children():
            if child.part.follows == leader.part.name and child.is_running:
                self._say(child.part.name, f"is restarted, because {leader.part.name} was")
                child.replace()

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True

    def _stop(self) -> None:
        if any(child.is_running for child in self._children()):
            self._say("up", "stops: every part gets time to finish")
        for group in reversed(self._groups):
            for child in group:
                child.end()
            while any(child.is_running for child in group):
                for child in group:
                    child.look()
                time.sleep(TICK)
