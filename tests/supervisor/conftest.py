"""Tiny programs in the place of epis' own parts, so that a life and a death take no time."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from epis.processes import Program
from epis.supervisor.child import Part

SLEEPER = "import time; time.sleep(600)"


class Events(list[tuple[str, str]]):
    """What a supervisor has said."""

    def say(self, name: str, event: str) -> None:
        self.append((name, event))

    def of(self, name: str) -> list[str]:
        return [event for speaker, event in self if speaker == name]

    def pids(self, name: str) -> list[int]:
        """The process numbers of all its lives."""
        started = [event for event in self.of(name) if event.startswith("started")]
        return [int(event.removeprefix("started (pid ").rstrip(")")) for event in started]


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def part(tmp_path: Path) -> Callable[..., Part]:
    """A part that runs the given Python."""

    def make(name: str, code: str = SLEEPER, **options: Any) -> Part:
        program = Program(
            command=(sys.executable, "-S", "-c", code),
            folder=tmp_path,
            environment=dict(os.environ),
            log=tmp_path / f"{name}.log",
            last_signal=options.pop("last_signal", signal.SIGKILL),
        )
        return Part(name=name, prepare=lambda: program, **options)

    return make


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.getsignal(signal.SIGHUP)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)
