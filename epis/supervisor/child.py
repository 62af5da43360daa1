"""One part of epis through all its lives: started, ended, restarted after a pause."""

import signal
import subprocess  # nosec B404
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from epis.processes import Program, has_ended, how_it_ended, signal_group

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
SETTLED_AFTER = 10.0
INSIST_EVERY = 5.0

Say = Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a child is. `prepare` is called before each start."""

    name: str
    prepare: Callable[[], Program]
    is_ready: Callable[[], bool] = lambda: True
    # The part after whose restart this one is replaced as well.
    follows: str | None = None
    stop_seconds: float = 60


class Backoff:
    """Seconds to wait before the next start: short at first, doubled with each early death."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def after_a_life_of(self, seconds: float) -> float:
        pause = FIRST_PAUSE if seconds >= SETTLED_AFTER else self._next
        self._next = min(2 * pause, LONGEST_PAUSE)
        return pause


@dataclass
class Life:
    """One process of a child, from its start to its end."""

    program: Program
    process: "subprocess.Popen[bytes]"
    started: float = field(default_factory=time.monotonic)
    ready: bool = False
    # Set once the child is asked to end: until when, and what then.
    patience_until: float | None = None
    next_signal: signal.Signals = signal.SIGKILL
    # Set once it is killed to be replaced.
    again: bool = False


class Child:
    """Never blocks but in `prepare`: `look` does what is due and returns."""

    def __init__(self, part: Part, say: Say) -> None:
        self.part = part
        self.lives = 0
        self._say = say
        self._life: Life | None = None
        self._due: float | None = None
        self._backoff = Backoff()
        self.last_end = ""

    @property
    def is_running(self) -> bool:
        return self._life is not None

    @property
    def is_ready(self) -> bool:
        return self._life is not None and self._life.ready

    def start(self) -> None:
        """Raises CannotStart or OSError."""
        self._due = None
        program = self.part.prepare()
        process = program.start()
        self.lives += 1
        self._life = Life(program, process, next_signal=program.last_signal)
        self._say(self.part.name, f"started (pid {process.pid})")

    def replace(self) -> None:
        """Kill it; the next life follows at once."""
        if self._life is not None and self._life.patience_until is None:
            self._life.again = True
            signal_group(self._life.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Ask for an orderly end."""
        self._due = None
        if self._life is None:
            return
        self._life.again = False
        if self._life.patience_until is None:
            self._life.patience_until = time.monotonic() + self.part.stop_seconds
            self._life.process.send_signal(self._life.program.stop_signal)

    def look(self) -> None:
        """Do what is due: notice an end, start again, lose patience, see that it is ready."""
        life, now = self._life, time.monotonic()
        if life is None:
            if self._due is not None and now >= self._due:
                self._start_again()
        elif has_ended(life.process):
            self._life = None
            self._bury(life)
        elif life.patience_until is not None and now >= life.patience_until:
            self._insist(life)
        elif not life.ready:
            life.ready = self.part.is_ready()

    def _bury(self, life: Life) -> None:
        self.last_end = f"{how_it_ended(life.process)}, its log is {life.program.log}"
        pid = life.process.pid
        if life.again:
            self._say(self.part.name, f"ended (pid {pid})")
            self._due = time.monotonic()
        elif life.patience_until is None:
            pause = self._rest(time.monotonic() - life.started)
            self._say(self.part.name, f"died (pid {pid}): {self.last_end}; again in {pause:g} s")
        else:
            self._say(self.part.name, f"ended (pid {pid})")

    def _start_again(self) -> None:
        try:
            self.start()
        except Exception as error:  # whatever it is, the other parts must go on
            pause = self._rest(0)
            self._say(self.part.name, f"cannot start: {error}; again in {pause:g} s")

    def _rest(self, lived: float) -> float:
        pause = self._backoff.after_a_life_of(lived)
        self._due = time.monotonic() + pause
        return pause

    def _insist(self, life: Life) -> None:
        self._say(self.part.name, f"does not end (pid {life.process.pid}): {life.next_signal.name}")
        signal_group(life.process.pid, life.next_signal)
        life.next_signal = signal.SIGKILL
        life.patience_until = time.monotonic() + INSIST_EVERY
