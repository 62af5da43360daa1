"""The real `manage.py up`: every part of epis, in a folder and on a port of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from epis.embedded.ground import processes_in
from epis.embedded.locations import Locations
from epis.supervisor.leftovers import leftovers
from tests.polling import wait_for

PROJECT = Path(__file__).resolve().parents[2]
UP = [sys.executable, "manage.py", "up"]
OF_ONE_FOLDER = {"postgres", "valkey", "counter", "background", "web", "schedule"}


class Up:
    """One `manage.py up`, and what it says."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.output = data.with_name(f"{data.name}.out")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                UP, cwd=PROJECT, env=environment(data, port), stdout=output, stderr=output
            )

    def wait_until_up(self) -> None:
        wait_for(f"'epis is up' in {self.said()}", self.is_up, seconds=60)

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.said()
        return "epis is up" in self.said()

    def said(self) -> str:
        return self.output.read_text()

    def pids(self, name: str) -> list[int]:
        """The process numbers of all the lives of a part."""
        return [int(pid) for pid in re.findall(rf" {name} +started \(pid (\d+)\)", self.said())]

    def has_lived_twice(self, name: str) -> bool:
        return len(self.pids(name)) > 1

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def environment(data: Path, port: int) -> dict[str, str]:
    return {**os.environ, "EPIS_DATA": str(data), "PORT": str(port)}


def at_work_on(data: Path) -> list[psutil.Process]:
    """Everyone whom an `up` on this folder has started."""
    servers = Locations(data).servers
    found = [*leftovers(data), *processes_in(servers / "valkey", "valkey")]
    return [*found, *processes_in(servers / "postgres", "postgres")]


def answer(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as got:
            return int(got.status)
    except OSError:
        return 0


@pytest.fixture
def data() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="epis-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "var"
    shutil.rmtree(folder)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def up(data: Path, port: int) -> Iterator[Callable[[], Up]]:
    """Starts it, and ends it with the test."""
    started: list[Up] = []

    def start() -> Up:
        started.append(Up(data, port))
        started[-1].wait_until_up()
        return started[-1]

    yield start

    for each in started:
        if each.process.poll() is None:
            each.stop()


class TestUp:
    def test_serves_refuses_a_second_one_and_leaves_nobody(
        self, up: Callable[[], Up], data: Path, port: int
    ) -> None:
        first = up()
        assert answer(port) == 200
        assert f"http://127.0.0.1:{port}/api/" in first.said()

        for folder, refusal in ((data, "already running"), (data / "other", "cannot be used")):
            second = subprocess.run(
                UP, cwd=PROJECT, env=environment(folder, port), capture_output=True, text=True
            )
            assert second.returncode == 1
            assert second.stdout == ""
            assert second.stderr.count("\n") == 1
            assert refusal in second.stderr
        assert answer(port) == 200

        assert first.stop() == 0
        assert at_work_on(data) == []

    def test_restarts_whatever_is_killed(self, up: Callable[[], Up], data: Path, port: int) -> None:
        running = up()
        killed = {name: running.pids(name)[0] for name in OF_ONE_FOLDER}

        for pid in killed.values():
            os.kill(pid, signal.SIGKILL)

        for name in killed:
            wait_for(f"a new {name}", partial(running.has_lived_twice, name), seconds=30)
        wait_for("everything answering", lambda: answer(port) == 200, seconds=30)

        def sessions_of_consumers() -> set[int]:
            consumers = [each for each in leftovers(data) if "counter" in each.cmdline()]
            return {os.getsid(each.pid) for each in consumers}

        wait_for("a single consumer", lambda: len(sessions_of_consumers()) == 1)
        assert killed["counter"] not in sessions_of_consumers()

    def test_starts_again_after_it_was_killed_itself(
        self, up: Callable[[], Up], data: Path, port: int
    ) -> None:
        first = up()
        key = (data / "secret_key").read_text()
        first.process.kill()
        first.process.wait()

        second = up()

        assert answer(port) == 200
        assert (data / "secret_key").read_text() == key
        assert second.stop() == 0
        assert at_work_on(data) == []
