"""A wall clock for epis that can be set: a few lines of C, compiled where there is a compiler.

All Python processes of epis have it. PostgreSQL, the broker and the harness keep the true one, and
everybody their monotonic one. libfaketime was tried: where it leaves the monotonic clock alone,
Python cannot sleep (0.9.10: EINVAL of clock_nanosleep).
"""

import shutil
import struct
import subprocess  # nosec B404
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """How far the clock is off is in a file. Nothing happens where there is no C compiler."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._library = folder / "clock.so"
        self.is_put_in = False

    def put_in(self) -> dict[str, str]:
        """The environment of whoever is to have this clock."""
        compiler = shutil.which("cc")
        if compiler is None or sys.platform != "linux":
            return {}
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(SOURCE)]
        subprocess.run(command, check=True)  # noqa: S603  # nosec B603
        self.set(0)
        self.is_put_in = True
        return {"LD_PRELOAD": str(self._library), "FAULTS_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Ahead of the true time, or behind it; at once, for all."""
        if not self._file.exists():
            self._file.touch()
        with self._file.open("r+b", buffering=0) as file:  # they have mapped it
            file.write(struct.pack("l", seconds))
