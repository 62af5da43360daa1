"""The command line: play rounds, try the mutants, and write the report."""

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import psutil
import psycopg

from epis.embedded.ground import CannotStart
from faults import record
from faults.clients.http import GaveUp
from faults.ending import heed_signals
from faults.errors import CannotRun
from faults.kinds import FORECAST, WEATHERS
from faults.mutants import MUTANTS
from faults.plan import Plan
from faults.report import summary_of, write
from faults.rounds import Round, play

LARGEST_SEED = 10**6
MUTANT_SECONDS, MUTANT_ROUNDS = 20, 3


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _options().parse_args(arguments)
    heed_signals()
    plan = _plan(chosen)
    began = time.strftime("%Y-%m-%d %H:%M")
    _say(f"seed {plan.seed}: {plan.rounds} round(s) of {plan.seconds} s")
    folder = plan.out / f"{began.replace(' ', '-').replace(':', '')}-{plan.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        rounds = _play_rounds(plan, chosen.weather or FORECAST, folder)
        mutants = {name: _try_mutant(name, plan) for name in chosen.mutants}
    except (CannotRun, CannotStart, GaveUp, OSError, psutil.Error, psycopg.Error) as error:
        _say(f"cannot go on: {error}")
        return 2
    about = {"began": began, "seed": plan.seed, "seconds": plan.seconds, "machine": _machine()}
    summary = summary_of(rounds, mutants, about)
    page = write(folder, rounds, summary)
    _say(f"written: {page}")
    if chosen.record:
        _say(f"recorded: {record.keep(summary)}")
    found = [each.name for each in rounds if each.faults_found]
    missed = [name for name, caught_by in mutants.items() if not caught_by]
    _say(f"{summary['kills']} kills; " + (_told(found, missed) or "nothing found, nothing missed"))
    return 1 if found or missed else 0


def _play_rounds(plan: Plan, weathers: Sequence[str], folder: Path) -> list[Round]:
    seeds = random.Random(plan.seed)  # noqa: S311 - to be repeated, not to be secret
    rounds = []
    for number in range(plan.rounds):
        name, weather = str(number + 1), weathers[number % len(weathers)]
        played = play(name, plan, weather, seeds.randrange(LARGEST_SEED), _say)
        played.history.write(folder / f"round-{name}.jsonl.gz")
        rounds.append(played)
    return rounds


def _try_mutant(name: str, plan: Plan) -> list[str]:
    """Which of the judges that should catch it did, in a few short rounds at most."""
    mutant = MUTANTS[name]
    seconds = min(MUTANT_SECONDS, plan.seconds)
    short = replace(plan, seconds=seconds, living=2 * plan.living, grace=0)
    for number in range(1, MUTANT_ROUNDS + 1):
        _say(f"mutant {name}: {mutant.what}")
        seed = plan.seed + number
        played = play(name, short, mutant.weather, seed, lambda event: None, mutant=name)
        caught_by = sorted(judge for judge in mutant.caught_by if played.found[judge])
        if caught_by:
            _say(f"mutant {name}: caught by {', '.join(caught_by)}, in round {number}")
            return caught_by
    _say(f"mutant {name}: NOT CAUGHT")
    return []


def _machine() -> str:
    """What it ran on, and how busy that was with everything together."""
    minutes = os.getloadavg()[2]
    return f"{os.cpu_count()} cores, load average {minutes:.1f} over the last 15 minutes"


def _told(found: Sequence[str], missed: Sequence[str]) -> str:
    told = [f"found in round {name}" for name in found]
    return "; ".join([*told, *(f"mutant {name} was not caught" for name in missed)])


def _plan(chosen: argparse.Namespace) -> Plan:
    given = {field.name: getattr(chosen, field.name) for field in fields(Plan)}
    return replace(Plan(), **{name: value for name, value in given.items() if value is not None})


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--weather", action="append", choices=WEATHERS, help="default: in turn")
    parser.add_argument("--mutants", nargs="*", choices=MUTANTS, default=list(MUTANTS))
    parser.add_argument("--record", action="store_true", help="keep the run in docs/faults.md")
    for field in fields(Plan):
        shown = "drawn" if field.name == "seed" else field.default
        kind = Path if field.name in ("folder", "out") else int
        parser.add_argument(f"--{field.name}", type=kind, help=f"default {shown}")
    return parser


def _say(event: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {event}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
