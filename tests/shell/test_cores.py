"""Processes of the web server, each on a core of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from epis.cores import take_core
from harness.installation import PROJECT
from tests.test_settings import run

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="the system cannot keep a process to a core"
)

# Says which core it took, and on which a thread of its may run; then it waits.
TAKES_ONE = """
import os, sys, threading
from epis.cores import take_core
took = take_core(int(sys.argv[1]))
def tell(): print(took, *sorted(os.sched_getaffinity(threading.get_native_id())), flush=True)
thread = threading.Thread(target=tell)
thread.start(); thread.join()
sys.stdin.read()
"""


class Processes:
    """What this process has started. They end with the test."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[str]] = []

    def start(self, processes: int) -> tuple[str, set[int]]:
        """The core that one more took of so many, in words, and those that it may use."""
        started = subprocess.Popen(
            [sys.executable, "-c", TAKES_ONE, str(processes)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.running.append(started)
        assert started.stdout is not None
        took, *usable = started.stdout.readline().split()
        return took, {int(core) for core in usable}

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        process.communicate()


@pytest.fixture
def processes() -> Iterator[Processes]:
    all_of_them = Processes()
    yield all_of_them
    while all_of_them.running:
        all_of_them.kill(0)


@pytest.fixture
def cores() -> set[int]:
    return os.sched_getaffinity(0)


@pytest.fixture
def some_cores(cores: set[int]) -> set[int]:
    if len(cores) == 1:
        pytest.skip("with one core, one that is taken looks like one that is not")
    return cores


def test_are_on_one_core_each(processes: Processes, some_cores: set[int]) -> None:
    took = [processes.start(len(some_cores)) for _ in some_cores]

    assert sorted(took) == sorted((str(core), {core}) for core in some_cores)


def test_go_on_where_one_died(processes: Processes, cores: set[int]) -> None:
    took = [processes.start(len(cores)) for _ in cores]
    processes.kill(0)

    assert processes.start(len(cores)) == took[0]


def test_share_none_with_one_too_many(processes: Processes, cores: set[int]) -> None:
    for _ in cores:
        processes.start(len(cores))

    assert processes.start(len(cores)) == ("None", cores)


@pytest.mark.parametrize("more", [-1, 1])
def test_go_where_they_like_where_there_are_not_as_many_cores(
    more: int, processes: Processes, cores: set[int]
) -> None:
    assert processes.start(len(cores) + more) == ("None", cores)


@pytest.mark.parametrize(
    ("module", "call"),
    [(os, "sched_getaffinity"), (os, "sched_setaffinity"), (socket, "socket")],
    ids=["sched_getaffinity", "sched_setaffinity", "socket"],
)
def test_go_where_they_like_where_nobody_may_choose(
    module: Any, call: str, cores: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(module, call, refuse)

    assert take_core(len(cores)) is None


def test_choose_when_they_serve_and_not_when_they_are_imported(cores: set[int]) -> None:
    code = "import os; import epis.wsgi; print(*sorted(os.sched_getaffinity(0)))"

    done = run("-c", code, WEB_WORKERS=str(len(cores)))

    assert {int(core) for core in done.stdout.split()} == cores
