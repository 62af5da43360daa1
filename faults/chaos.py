"""Throws faults, alone and combined, and tells when epis had recovered from each."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from faults.clients.http import PATIENCE_SECONDS, REQUEST_SECONDS
from faults.errors import CannotRun
from faults.history import History
from faults.instance import Instance
from faults.kinds import LOOK_EVERY, Fault, Flush, Weather, killed_of
from faults.load import Load
from faults.plan import Say
from faults.processes import (
    BACK_END,
    BACKGROUND,
    BACKGROUND_CHILD,
    CONSUMER,
    CONSUMER_CHILD,
    PARTS,
    is_at_work,
)
from harness.installation import START_SECONDS

TICK = 0.02
RECOVERY_SECONDS = 60.0  # waited for
COMBINED = 0.4  # the share of strokes that are of several faults at once
QUIET_SECONDS = 0.7  # in which increments come while nobody looks for them


@dataclass
class Struck:
    """A fault as it was: from when to when, how many it killed, and when all was well again.

    `calm` is when the last fault of its stroke had ended: nothing else happened from then on until
    all was well, or was given up. None for the stroke behind which nobody looked. Not `hit`: there
    was nothing to strike at, so that nothing was shown.
    """

    kind: str
    began: float
    ended: float
    kills: int
    alone: bool
    calm: float | None = None
    recovered: float | None = None
    hit: bool = True

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Chaos:
    """One round's faults, from the main thread."""

    def __init__(
        self,
        epis: Instance,
        load: Load,
        history: History,
        weather: Weather,
        rng: random.Random,
        say: Say,
    ) -> None:
        self._epis = epis
        self._load = load
        self._history = history
        self._weather = weather
        self._rng = rng
        self._say = say
        self._whole: dict[str, int] = {}
        self.struck: list[Struck] = []

    def warm_up(self) -> None:
        """Until everything is there and at work. Raises CannotRun if that does not come."""
        if not self.wait(self._is_complete, START_SECONDS, LOOK_EVERY):
            raise CannotRun(f"epis was not at work within {START_SECONDS} s")

    def _is_complete(self) -> bool:
        """A part that was counted too early would be thought whole too early ever after."""
        self._whole = {part: len(found) for part, found in self._epis.family().items()}
        children = self._whole.get(CONSUMER_CHILD, 0)
        complete = all(map(self._whole.get, PARTS)) and children >= self._whole[CONSUMER]
        return complete and self._load.recovered_at(0) is not None

    def rage(self, seconds: float) -> None:
        """Stroke after stroke, each when epis has recovered from the one before."""
        until = self._history.now() + seconds
        while self._history.now() < until:
            number = self._rng.choice([2, 2, 3]) if self._rng.random() < COMBINED else 1
            self.strike([self._weather.draw(self._rng) for _ in range(number)])
            self._pass(self._rng.uniform(0.1, 0.8))

    def strike(self, faults: Sequence[Fault]) -> None:
        """All of these, beginning within a second, and wait until epis has recovered."""
        begun: list[tuple[float, Fault]] = []
        ended: list[Struck] = []
        due = sorted((self._rng.uniform(0, len(faults) - 1), n) for n in range(len(faults)))
        started = self._history.now()
        while due or begun:
            now = self._history.now()
            while due and started + due[0][0] <= now:
                _, number = due.pop(0)
                begun.append((self._history.now(), faults[number]))
                faults[number].begin(self._epis)
            for moment, fault in list(begun):
                if self._history.now() >= moment + fault.seconds:
                    fault.end(self._epis)
                    begun.remove((moment, fault))
                    ended.append(self._note(fault, moment, alone=len(faults) == 1))
                else:
                    fault.go_on(self._epis)
            self._pass(TICK)
        self._await_recovery(ended, faults)

    def end(self) -> None:
        """The last stroke: bells are rung while nobody hears them, and the broker forgets them.

        Behind it nothing comes that would ring again, so only a sweep finds what was accepted.
        """
        workers = (CONSUMER, CONSUMER_CHILD, BACKGROUND, BACKGROUND_CHILD)
        last = Fault("the last bells lost")
        began = self._history.now()
        family, twins = self._epis.family(), self._epis.beside("control")
        frozen = [process for part in workers for process in family.get(part, ())]
        for process in (*frozen, *twins):
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._pass(QUIET_SECONDS)
        self._load.end()
        self.wait(lambda: self._load.has_ended, PATIENCE_SECONDS + REQUEST_SECONDS)
        if not self._load.has_ended:
            self._load.complaints.append("clients were still under way when they were given up")
        if not self.wait(self._has_emptied_broker, PATIENCE_SECONDS):
            self._load.complaints.append("the broker was not to be emptied at the end")
        killed_of(twins)
        last.kill(frozen, family)
        self._note(last, began, alone=True)

    def _has_emptied_broker(self) -> bool:
        flush = Flush()
        flush.begin(self._epis)
        return flush.hit

    def _note(self, fault: Fault, began: float, *, alone: bool) -> Struck:
        struck = Struck(
            fault.kind, began, self._history.now(), len(fault.killed), alone, hit=fault.hit
        )
        self.struck.append(struck)
        return struck

    def _await_recovery(self, ended: Sequence[Struck], faults: Sequence[Fault]) -> None:
        """Until all that had to go has a successor, and both pulses that began then were felt.

        One that began earlier may have been helped by who was still dying.
        """
        behind = max(struck.ended for struck in ended)
        there_again = behind
        is_whole = self.wait(lambda: self._is_whole(faults), RECOVERY_SECONDS, LOOK_EVERY)
        if any(fault.parts for fault in faults):
            there_again = self._history.now()
        self.wait(lambda: self._load.recovered_at(there_again) is not None, RECOVERY_SECONDS)
        for struck in ended:
            struck.calm = behind
            struck.recovered = self._load.recovered_at(there_again) if is_whole else None
        well = ended[0].recovered
        took = "has not recovered" if well is None else f"recovered in {well - behind:.1f} s"
        self._say(f"{behind:6.1f} s  {' + '.join(each.kind for each in ended)}: {took}")

    def _is_whole(self, faults: Sequence[Fault]) -> bool:
        family = self._epis.family()
        gone = {process for fault in faults for process in fault.gone}
        parts = {part for fault in faults for part in fault.parts} - {BACK_END}
        if any(not gone.isdisjoint(found) for found in family.values()):
            return False
        return all(
            len(family.get(part, ())) >= self._whole[part]
            and all(
                is_at_work(part, process, self._epis.locations.logs) for process in family[part]
            )
            for part in parts
        )

    def wait(self, look: Callable[[], bool], seconds: float, every: float = TICK) -> bool:
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                return False
            self._pass(every)
        return True

    def _pass(self, seconds: float) -> None:
        """Let time go by, and start again what has ended and was to stay."""
        self._epis.keep()
        time.sleep(seconds)
