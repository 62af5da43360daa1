"""The clock that the harness gives to epis."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faults.clock import Clock

TELL = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""


@pytest.mark.skipif(
    shutil.which("cc") is None or sys.platform != "linux", reason="needs Linux and a C compiler"
)
class TestClock:
    def test_jumps_in_a_process_that_runs_and_leaves_the_monotonic_one(
        self, tmp_path: Path
    ) -> None:
        clock = Clock(tmp_path)
        environment = os.environ | clock.put_in()
        told = []
        with subprocess.Popen(
            [sys.executable, "-c", TELL],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin
            assert process.stdout
            for seconds in (0, 3600, -3600, 0):
                clock.set(seconds)
                process.stdin.write("\n")
                process.stdin.flush()
                wall, monotonic = map(float, process.stdout.readline().split())
                told.append((round(wall - time.time(), -2), round(monotonic - time.monotonic())))
            process.stdin.close()

        assert told == [(0, 0), (3600, 0), (-3600, 0), (0, 0)]
