"""The command line: play rounds, try the mutants, and write the report; or judge one again."""

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
from faults.at_rest import AtRest, read_again
from faults.clients.http import GaveUp
from faults.ending import heed_signals
from faults.errors import CannotRun
from faults.history import History, read
from faults.judges import judge
from faults.kinds import FORECAST, WEATHERS
from faults.mutants import MUTANTS
from faults.plan import Plan
from faults.report import summary_of, write, write_round
from faults.rounds import Round, play

LARGEST_SEED = 10**6
MUTANT_SECONDS, MUTANT_ROUNDS = 20, 3


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _options().parse_args(arguments)
    heed_signals()
    try:
        return _judge_again(chosen.judge) if chosen.judge else _run(chosen)
    except (CannotRun, CannotStart, GaveUp, OSError, psutil.Error, psycopg.Error) as error:
        _say(f"cannot go on: {error}")
        return 2


def _run(chosen: argparse.Namespace) -> int:
    plan = _plan(chosen)
    began = time.strftime("%Y-%m-%d %H:%M")
    _say(f"seed {plan.seed}: {plan.rounds} round(s) of {plan.seconds} s")
    run = Run(plan, began, keeps=chosen.record)
    run.play(chosen.weather or FORECAST)
    run.try_out(chosen.mutants)
    return run.tell()


class Run:
    """What has come of a run so far. It is written anew behind each round, for it may be cut short.

    With `keeps` also into the docs.
    """

    def __init__(self, plan: Plan, began: str, *, keeps: bool) -> None:
        self._plan = plan
        self._began = began
        self._keeps = keeps
        self._folder = plan.out / f"{began.replace(' ', '-').replace(':', '')}-{plan.seed}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._rounds: list[Round] = []
        self._mutants: dict[str, list[str]] = {}

    def play(self, weathers: Sequence[str]) -> None:
        seeds = random.Random(self._plan.seed)  # noqa: S311 - to be repeated, not to be secret  # nosec B311
        for number in range(self._plan.rounds):
            name, weather = str(number + 1), weathers[number % len(weathers)]
            played = play(name, self._plan, weather, seeds.randrange(LARGEST_SEED), _say)
            write_round(self._folder, played)
            # Those of many rounds would not fit into the memory.
            played.history, played.at_rest = History(), AtRest()
            self._rounds.append(played)
            self._write()

    def try_out(self, mutants: Sequence[str]) -> None:
        for name in mutants:
            self._mutants[name] = _try_mutant(name, self._plan)
            self._write()

    def tell(self) -> int:
        """Say what was found; the exit code."""
        page = self._write()
        _say(f"written: {page}")
        found = [each.name for each in self._rounds if each.faults_found]
        missed = [name for name, caught_by in self._mutants.items() if not caught_by]
        kills = sum(each.kills for each in self._rounds)
        _say(f"{kills} kills; " + (_told(found, missed) or "nothing found, nothing missed"))
        return 1 if found or missed else 0

    def _write(self) -> Path:
        plan = self._plan
        about = {"seed": plan.seed, "seconds": plan.seconds, "machine": _machine()}
        summary = summary_of(self._rounds, self._mutants, {"began": self._began, **about})
        if self._keeps:
            record.keep(summary)
        return write(self._folder, self._rounds, summary)


def _judge_again(folder: Path) -> int:
    """Hold each history of a run against the rows that were kept with it; the exit code."""
    code = 0
    histories = sorted(folder.glob("round-*.jsonl.gz"))
    if not histories:
        raise CannotRun(f"no history is in {folder}")
    for path in histories:
        exchanges = list(read(path))
        at_rest = read_again(path.with_name(path.name.replace(".jsonl.gz", ".rest.json.gz")))
        found = [f"{name}: {line}" for name, f in judge(exchanges, at_rest).items() for line in f]
        _say(f"{path.name}: {len(exchanges)} requests, {len(found)} found")
        for line in found:
            _say(line)
            code = 1
    return code


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
    parser.add_argument("--judge", type=Path, metavar="RUN", help="only judge this run again")
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
