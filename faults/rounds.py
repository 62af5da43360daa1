"""One round: epis is started, loaded, broken, left in peace, and judged."""

import random
import subprocess  # nosec B404
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from faults.at_rest import AtRest, read, unfinished
from faults.chaos import Chaos, Struck
from faults.control.verdict import Verdict
from faults.control.verdict import judge as judge_control
from faults.history import History
from faults.instance import Instance
from faults.judges import judge
from faults.kinds import WEATHERS
from faults.load import Load
from faults.mutants import MUTANTS
from faults.plan import Plan, Say

SECONDS_TO_RECOVER = 30.0  # from every fault, where nothing else happens meanwhile
SECONDS_TO_REST = 30.0  # behind the last fault, in which everything must have been applied
SECONDS_WAITED = 45.0
# epis' own judges, which must find nothing either.
COMMANDS = (("audit",), ("deletions", "verify"), ("reconcile", "--dry-run"))


@dataclass
class Round:
    """What was done in a round, and what the judges found."""

    name: str
    seed: int
    weather: str
    history: History = field(default_factory=History)
    at_rest: AtRest = field(default_factory=AtRest)
    struck: list[Struck] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)
    seconds_to_rest: float = 0.0
    control: Verdict = field(default_factory=Verdict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return sum(struck.kills for struck in self.struck)

    @property
    def faults_found(self) -> int:
        return sum(map(len, self.found.values()))

    def summary(self) -> dict[str, Any]:
        """What is kept of it, beside the history."""
        return {
            "name": self.name,
            "seed": self.seed,
            "weather": self.weather,
            "kills": self.kills,
            "counts": self.counts,
            "found": {name: found[:20] for name, found in self.found.items() if found},
            "seconds_to_rest": self.seconds_to_rest,
            "control": self.control.as_dict(),
            "struck": [struck.as_dict() for struck in self.struck],
        }


def play(name: str, plan: Plan, weather: str, seed: int, say: Say, mutant: str = "") -> Round:
    """Play one round to its end. Raises CannotRun if epis does not start."""
    played = Round(name, seed, weather)
    rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret  # nosec B311
    say(f"{name}: {weather}, seed {seed}")
    climate = WEATHERS[weather]
    with Instance(
        plan.folder,
        grace=plan.grace,
        lanes=climate.lanes,
        proxied=climate.proxied,
        own_clock=climate.own_clock,
        mutant=mutant,
    ) as epis:
        if mutant:
            MUTANTS[mutant].in_database(epis.databases)
        load = Load(plan, epis.port, played.history, rng)
        chaos = Chaos(epis, load, played.history, climate, rng, say)
        load.start()
        try:
            chaos.warm_up()
            chaos.rage(plan.seconds)
            chaos.end()
        finally:
            load.end()
        played.struck = chaos.struck
        _come_to_rest(played, epis, chaos)
        _judge(played, epis, load)
    say(f"{name}: {played.kills} kills, {_told(played)}")
    return played


def _come_to_rest(played: Round, epis: Instance, chaos: Chaos) -> None:
    """Wait until nothing is left to be done."""
    began = played.struck[-1].ended
    left: list[str] = []

    def is_at_rest() -> bool:
        try:
            left[:] = unfinished(epis.databases)
        except psycopg.Error as error:
            epis.connect_anew()
            left[:] = [f"PostgreSQL does not answer: {error}"]
        return not left

    came = chaos.wait(is_at_rest, SECONDS_WAITED)
    took = played.history.now() - began
    played.seconds_to_rest = took
    late = [] if came and took <= SECONDS_TO_REST else [f"{took:.0f} s behind the last fault"]
    played.found["rest"] = [*left, *late]


def _judge(played: Round, epis: Instance, load: Load) -> None:
    exchanges = list(played.history.exchanges)
    at_rest = played.at_rest = read(epis.databases)
    played.found |= judge(exchanges, at_rest)
    played.found["recovery"] = late_recoveries(played.struck)
    played.found["clients"] = list(load.complaints)
    for command in COMMANDS:
        played.found[f"manage.py {' '.join(command)}"] = complaints_of(epis.manage(*command))
    played.control = judge_control(exchanges, epis.databases)
    played.counts = {
        "requests": len(exchanges),
        "unanswered": sum(each.status is None for each in exchanges),
        "refused for the moment": sum(each.status == 503 for each in exchanges),
        "increments applied": sum(each.place is not None for each in at_rest.increments),
        "todos": len(at_rest.todos),
        "deletions done": sum(each.state == "done" for each in at_rest.deletions),
        "deletions cancelled": sum(each.state == "cancelled" for each in at_rest.deletions),
    }


def complaints_of(ran: "subprocess.CompletedProcess[str]") -> list[str]:
    """What a command has found; also where it did not get to say so."""
    if ran.returncode == 0:
        return []
    return (ran.stdout + ran.stderr).splitlines() or [f"ended with {ran.returncode}"]


def late_recoveries(struck: Sequence[Struck]) -> list[str]:
    """Faults behind which something was not well within `SECONDS_TO_RECOVER`."""
    return [
        f"{each.kind} at {each.began:.1f} s: {_took(each)}"
        for each in struck
        if each.calm is not None
        and (each.recovered is None or each.recovered - each.calm > SECONDS_TO_RECOVER)
    ]


def _took(struck: Struck) -> str:
    if struck.calm is None or struck.recovered is None:
        return "not recovered from"
    return f"recovered from in {struck.recovered - struck.calm:.1f} s"


def _told(played: Round) -> str:
    if not played.faults_found:
        return "nothing lost, doubled or orphaned"
    lines = [f"{name}: {found[0]}" for name, found in played.found.items() if found]
    return f"{played.faults_found} FOUND: " + "; ".join(lines)
