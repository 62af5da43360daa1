"""Children of a supervisor that was killed are ended by the next one, and nobody else is."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from epis.supervisor import leftovers
from epis.supervisor.leftovers import MARK, end_leftovers
from tests.polling import wait_for

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    processes = []

    def spawn_one(code: str, **environment: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", f"{code}\nimport time\ntime.sleep(600)"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield spawn_one

    for process in processes:
        process.kill()
        process.communicate()


class TestEndLeftovers:
    def test_ends_those_of_this_folder_only(self, spawn: Spawn, tmp_path: Path) -> None:
        ours = spawn("", **{MARK: str(tmp_path)})
        others = spawn("", **{MARK: str(tmp_path / "other")})
        strangers = spawn("")

        ended = end_leftovers(tmp_path)

        assert ended == 1
        assert ours.wait() < 0
        assert others.poll() is None
        assert strangers.poll() is None

    def test_ends_orphaned_descendants(self, spawn: Spawn, tmp_path: Path) -> None:
        parent = spawn(
            "import os\npid = os.fork()\nif pid: print(pid, flush=True)", **{MARK: str(tmp_path)}
        )
        assert parent.stdout
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

        end_leftovers(tmp_path)

        wait_for("the end of the orphan", lambda: not orphan.is_running())

    def test_insists(self, spawn: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(leftovers, "PATIENCE_SECONDS", 0.2)
        deaf = spawn(
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)",
            **{MARK: str(tmp_path)},
        )
        assert deaf.stdout
        deaf.stdout.readline()

        end_leftovers(tmp_path)

        assert deaf.wait() == -9

    def test_has_nothing_to_do_after_an_orderly_stop(self, tmp_path: Path) -> None:
        assert end_leftovers(tmp_path) == 0
