"""Load over HTTP, from wrk: a compiled generator, so that it takes little from those measured."""

import json
import os
import shutil
import subprocess  # nosec B404
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import CannotMeasure

SCRIPT = Path(__file__).with_name("load.lua")
FIGURES = SCRIPT.with_name("figures.lua")  # what every script ends with
MARK = "figures "


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw. Requests under way when it ended are not in `answered`."""

    answered: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def wrk() -> str:
    """Where wrk is. Raises CannotMeasure where it is not installed."""
    found = shutil.which("wrk")
    if found is None:
        raise CannotMeasure("this needs the load generator wrk: apt install wrk")
    return found


def run(
    url: str,
    *,
    token: str,
    seconds: int,
    connections: int,
    items: int = 1,
    pause_ms: float | None = None,
) -> Load:
    """Load the address for so long. Raises CannotMeasure if any request failed."""
    told = {
        "BENCH_TOKEN": token,
        "BENCH_ITEMS": str(items),
        "BENCH_PAUSE_MS": "" if pause_ms is None else f"{pause_ms:.3f}",
    }
    return run_script(SCRIPT, url, seconds=seconds, connections=connections, told=told)


def run_script(
    script: Path, url: str, *, seconds: int, connections: int, told: Mapping[str, str]
) -> Load:
    """The same with requests of another script, which is told this in its environment."""
    done = subprocess.run(  # nosec B603  # noqa: S603
        [
            *(wrk(), "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", "20s"),
            *("--script", str(script), url),
        ],
        env={**os.environ, **told, "BENCH_FIGURES": str(FIGURES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    if done.returncode != 0:
        raise CannotMeasure(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    load = parse(done.stdout)
    if load.refused or load.broken or not load.answered:
        raise CannotMeasure(
            f"{url}: {load.answered} requests answered, {load.refused} of them refused, "
            f"{load.broken} broken"
        )
    return load


def parse(output: str) -> Load:
    """The figures that the script has wrk print. Raises CannotMeasure if there are none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            return Load(**json.loads(line.removeprefix(MARK)))
    raise CannotMeasure(f"wrk told no figures: {output.strip()[-200:]}")
