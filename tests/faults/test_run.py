"""A short round as `make faults` plays them, and what is left of one that is broken off."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.polling import wait_for

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 15  # of faults


@pytest.fixture
def folder() -> Iterator[Path]:
    """For the data of epis: the servers' user has to pass through it."""
    with tempfile.TemporaryDirectory(prefix="epis-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def command(folder: Path, out: Path, *words: str) -> list[str]:
    where = ["--folder", str(folder), "--out", str(out)]
    return [sys.executable, "-m", "faults", *where, *words]


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""  # gone meanwhile


def at_work_in(folder: Path) -> list[str]:
    """Everybody who works in the folder, or was told of it."""
    found = []
    for process in psutil.process_iter():
        try:
            told = process.environ().get("EPIS_DATA", "").startswith(str(folder))
            if process.status() != psutil.STATUS_ZOMBIE and (
                told or process.cwd().startswith(str(folder))
            ):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue  # gone meanwhile, or somebody else's
    return found


def play(folder: Path, out: Path, *words: str) -> dict[str, Any]:
    """Play it to its end; what it has to tell."""
    ran = subprocess.run(
        command(folder, out, "--seconds", str(SECONDS), *words),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (run,) = out.iterdir()
    told: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return told


# Half a minute each where nothing else goes on; most of it is epis starting.
@pytest.mark.timeout(600)
class TestRound:
    def test_of_all_faults_finds_nothing_in_epis_and_much_in_the_plain_way(
        self, folder: Path, tmp_path: Path
    ) -> None:
        told = play(folder, tmp_path, "--rounds", "1", "--weather", "cuts", "--mutants")

        assert told["kills"] > 0
        assert told["increments applied"] > 100
        assert (told["lost"], told["doubled"], told["orphaned"]) == (0, 0, 0)
        assert told["control"]["lost"] > 0, "the plain way got through the same"
        (run,) = tmp_path.iterdir()
        assert (run / "report.html").exists()
        assert (run / "round-1.jsonl.gz").exists()
        assert list(folder.iterdir()) == []
        assert at_work_in(folder) == []

    def test_without_a_guard_is_seen_to_go_wrong(self, folder: Path, tmp_path: Path) -> None:
        told = play(folder, tmp_path, "--rounds", "0", "--mutants", "keys")

        assert told["mutants"] == {"keys": ["doubled"]}


class TestBreakingOff:
    @pytest.mark.timeout(200)
    def test_leaves_nobody_and_nothing(self, folder: Path, tmp_path: Path) -> None:
        log = tmp_path / "log"
        words = ("--rounds", "1", "--seconds", "100", "--weather", "slow todos")
        with log.open("w") as output:
            run = subprocess.Popen(
                command(folder, tmp_path / "out", *words), cwd=PROJECT, stdout=output, stderr=output
            )
        wait_for("a fault", lambda: "freeze" in log.read_text() or run.poll(), seconds=90)
        family = psutil.Process(run.pid).children(recursive=True)
        # What a killed PostgreSQL leaves is cleared by the next one, and here none is started.
        postgres = next(each for each in family if "postgres -D" in command_line(each))
        shared = {each.path for each in postgres.memory_maps() if "PostgreSQL." in each.path}
        assert shared
        postgres.parent().suspend()
        postgres.kill()

        run.send_signal(signal.SIGINT)
        os.kill(run.pid, signal.SIGINT)  # whoever is impatient presses twice

        assert run.wait(90) == 128 + signal.SIGINT, log.read_text()
        wait_for("every process gone", lambda: not any(each.is_running() for each in family))
        assert at_work_in(folder) == []
        assert list(folder.iterdir()) == []
        assert str(folder) not in Path("/proc/self/mounts").read_text()
        assert not any(Path(path).exists() for path in shared)
