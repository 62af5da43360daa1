"""What a stroke has hit, and when it was recovered from."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from epis.embedded.locations import Locations
from faults.chaos import Chaos
from faults.errors import CannotRun
from faults.history import History
from faults.kinds import Fault, Kill, Weather
from faults.processes import (
    BACK_END,
    BROKER,
    CONSUMER,
    CONSUMER_CHILD,
    PARTS,
    POSTGRES,
    SCHEDULE,
    WEB_WORKER,
    Family,
    going_with,
    is_at_work,
)
from tests.polling import wait_for

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = f"import subprocess; subprocess.run({SLEEPER!r})"


@pytest.fixture
def sleepers() -> Iterator[list[psutil.Process]]:
    """Three processes that do nothing."""
    running = [subprocess.Popen(SLEEPER, stdin=subprocess.DEVNULL) for _ in range(3)]
    yield [psutil.Process(each.pid) for each in running]
    for each in running:
        each.kill()
        each.wait()


class Stage:
    """Stands for epis and its load: `family` is what is there, and every pulse takes `beat`."""

    def __init__(self, family: Family) -> None:
        self.now = family
        self.history = History()
        self.locations = Locations(Path("nowhere"))
        self.beat = 0.01
        self.looks = 0

    def family(self) -> Family:
        self.looks += 1
        return self.now

    def beside(self, name: str) -> list[psutil.Process]:
        return []

    def keep(self) -> None:
        pass

    def recovered_at(self, moment: float) -> float | None:
        done = moment + self.beat
        return done if done <= self.history.now() else None


def chaos_on(stage: Any) -> Chaos:
    def nothing(event: str) -> None:
        pass

    return Chaos(stage, stage, stage.history, Weather(()), random.Random(1), nothing)  # noqa: S311


class TestKilling:
    def test_counts_each_process_once_and_only_who_was_alive(
        self, sleepers: list[psutil.Process]
    ) -> None:
        alive, dying, dead = sleepers
        dead.kill()
        wait_for("its end", lambda: dead.status() == psutil.STATUS_ZOMBIE)
        fault = Fault("hail")

        for _ in range(2):
            fault.kill([alive, dying, dead], {CONSUMER: sleepers})

        assert fault.killed == {alive, dying}
        assert fault.hit

    def test_of_nobody_is_no_hit(self) -> None:
        fault = Kill(CONSUMER, random.Random(1))  # noqa: S311
        stage: Any = Stage({})

        fault.begin(stage)

        assert not fault.killed
        assert not fault.hit

    def test_takes_with_it_who_depends_on_the_victim(self, sleepers: list[psutil.Process]) -> None:
        consumer, schedule, broker = sleepers
        family = {CONSUMER: [consumer], SCHEDULE: [schedule], BROKER: [broker]}

        assert going_with([consumer], family) == {consumer}
        assert going_with([broker], family) == set(sleepers)
        assert going_with([consumer], {BACK_END: sleepers}) == set(sleepers)

    def test_takes_with_it_who_descends_from_the_victim(self) -> None:
        with subprocess.Popen([sys.executable, "-c", PARENT]) as running:
            parent = psutil.Process(running.pid)
            wait_for("a child", parent.children)
            children = parent.children()
            family = {CONSUMER: [parent], CONSUMER_CHILD: children}
            fault = Fault("kill consumer")

            fault.kill([parent], family)

            assert fault.killed == {parent}
            assert fault.gone == {parent, *children}
            assert fault.parts == {CONSUMER, CONSUMER_CHILD}
            children[0].kill()


class TestBeingAtWork:
    def test_of_a_web_worker_is_what_the_server_says(
        self, sleepers: list[psutil.Process], tmp_path: Path
    ) -> None:
        worker, log = sleepers[0], tmp_path / "web.log"
        log.write_text(
            f"Started worker-1\nSpawning worker-1 with PID: {worker.pid}\nStarted worker-2\n"
        )

        assert not is_at_work(WEB_WORKER, worker, tmp_path)
        log.write_text(f"{log.read_text()}[INFO] Started worker-1\n")
        assert is_at_work(WEB_WORKER, worker, tmp_path)

    def test_of_the_schedule_is_to_be_connected(self, sleepers: list[psutil.Process]) -> None:
        assert not is_at_work(SCHEDULE, sleepers[0], Path())
        with socket.socket(socket.AF_UNIX):
            assert is_at_work(SCHEDULE, psutil.Process(), Path())


class TestRecovery:
    def test_is_not_before_the_killed_one_has_a_successor(
        self, sleepers: list[psutil.Process]
    ) -> None:
        victim, successor, _ = sleepers
        stage = Stage({part: [victim] for part in PARTS})
        chaos = chaos_on(stage)
        chaos.warm_up()

        class Slow(Fault):
            """It dies, and is replaced, only when it has been looked for a few times."""

            def begin(self, epis: Any) -> None:
                self.lose({victim}, {CONSUMER: [victim]})
                stage.looks = 0

        def family() -> Family:
            stage.looks += 1
            return {CONSUMER: [victim if stage.looks < 4 else successor]}

        stage.family = family  # type: ignore[method-assign]

        chaos.strike([Slow("kill consumer")])

        (struck,) = chaos.struck
        assert struck.recovered is not None
        # Three looks, a tenth of a second apart, in which pulses were felt all the time.
        assert struck.recovered - struck.ended > 0.3

    def test_is_not_expected_where_epis_never_was_at_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("faults.chaos.START_SECONDS", 0.1)

        with pytest.raises(CannotRun):
            chaos_on(Stage({POSTGRES: []})).warm_up()
