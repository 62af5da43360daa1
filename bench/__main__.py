"""The command line: measure all chapters and write the page, or try one of them."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import psycopg
import redis

from bench import machine
from bench.chapters import CHAPTERS
from bench.errors import CannotMeasure
from bench.load import wrk
from bench.plan import QUICK, Plan
from bench.report import page
from epis.embedded.ground import CannotStart
from harness.installation import PROJECT

DOCS = PROJECT / "docs"
TRIALS = PROJECT / "var" / "bench"
SERVERS_AND_PROCESSES = (psycopg.Error, redis.RedisError, psutil.Error)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _options().parse_args(arguments)
    whole = not (chosen.only or chosen.quick)
    folder: Path = chosen.out or (DOCS if whole else TRIALS)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        raw = _kept(folder) if chosen.render else _measure(_plan(chosen), chosen.only)
    except (CannotMeasure, CannotStart, OSError, *SERVERS_AND_PROCESSES) as error:
        _say("\n".join([f"cannot measure: {error}", *getattr(error, "__notes__", [])]))
        return 1
    text = write(raw, folder)
    if not whole:
        sys.stdout.write(text)
    _say(f"written: {folder / 'benchmarks.md'}")
    return 0


def write(raw: dict[str, Any], folder: Path) -> str:
    """Write the page, its charts and the figures into the folder; returns the page."""
    sections = [CHAPTERS[name].report(figures) for name, figures in raw["chapters"].items()]
    text = page(sections, raw["machine"], "benchmarks")
    charts = folder / "benchmarks"
    charts.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for name, chart in section.charts.items():
            (charts / f"{name}.svg").write_text(chart.svg())
    (folder / "benchmarks.json").write_text(json.dumps(raw, indent=1) + "\n")
    (folder / "benchmarks.md").write_text(text)
    return text


def _measure(plan: Plan, only: Sequence[str] | None) -> dict[str, Any]:
    wrk()
    ran_on = machine.describe(plan)
    measured = {}
    began = time.monotonic()
    for name, chapter in CHAPTERS.items():
        if not only or name in only:
            _say(f"chapter {name}")
            measured[name] = chapter.measure(plan, _say)
    minutes = (time.monotonic() - began) / 60
    return {"machine": [*ran_on, ("the run took", f"{minutes:.0f} min")], "chapters": measured}


def _kept(folder: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((folder / "benchmarks.json").read_text())
    return kept


def _plan(chosen: argparse.Namespace) -> Plan:
    given = {field.name: getattr(chosen, field.name) for field in fields(Plan)}
    quick: dict[str, Any] = QUICK if chosen.quick else {}
    wanted = {name: value for name, value in given.items() if value is not None}
    return replace(Plan(), **(quick | wanted))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=CHAPTERS, help="measure this chapter")
    parser.add_argument("--quick", action="store_true", help="one short round, to try it out")
    parser.add_argument("--render", action="store_true", help="only write the page again")
    parser.add_argument("--out", type=Path, help="where to write (a trial: var/bench)")
    for field in fields(Plan):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=Path if field.name == "folder" else int,
            help=f"default {field.default}",
        )
    return parser


def _end(number: int, frame: FrameType | None) -> None:
    """Once: what follows is the orderly end, which a second signal must not cut short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(128 + number)


def _say(event: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {event}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
