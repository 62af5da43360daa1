"""What a ledger of ten million entries costs: nothing, if all is well."""

from dataclasses import replace
from typing import Any

from bench import arms, disk, ledger, load
from bench.charts import Bar, Chart
from bench.draining import drain
from bench.figures import Figure, ratio, rotated
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread, times

NAME = "long-ledger"
WARM_UP_BACKLOG = 20_000
NEEDED_RATIO = 0.9
DISK = "disk_mib_per_s"
WAYS = {
    "counting": "accepting and applying",
    "draining": "draining",
    "reading": "reading the counter",
}

Measured = dict[str, list[float]]

TEXT = """\
Two instances side by side, loaded in alternation: one whose only counter has {entries:,} entries \
in its ledger, and one whose ledger is emptied before each round. Counting is one increment a \
request from {connections} connections for {seconds} s, reading `GET /api/counters/{{id}}/` from \
as many, in {rounds_of_requests} rounds. Draining a backlog of {backlog:,}, in {rounds} rounds, \
comes behind all of that, for what it leaves to be tidied would go on beside the next; it begins \
right behind a checkpoint, when the first change of each page writes all of it to the log. Timed \
is what the consumer does; their keys were taken when they were accepted, which is a part of \
counting."""


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    warm_up = replace(plan, seconds=plan.warm_up_seconds, backlog=WARM_UP_BACKLOG)
    measured: dict[str, Measured] = {
        which: {figure: [] for figure in [*WAYS, DISK]} for which in ("empty", "long")
    }
    with Instance(plan) as empty, Instance(plan) as long:
        ledger.fill_ledger(
            long.database,
            long.counter,
            plan.ledger,
            lambda filled: say(f"{filled:,} of {plan.ledger:,} entries are in"),
        )
        both = [("empty", empty), ("long", long)]
        # What a round of requests finds differs by a tenth from one to the next, with both.
        for one_round, rounds in ((_requests, 2 * plan.rounds), (_backlog, plan.rounds)):
            for _, epis in both:
                one_round(epis, warm_up)
            for number in range(rounds):
                for which, epis in rotated(both, number):
                    if which == "empty":
                        ledger.empty(epis.database, epis.counter)
                    for figure, rate in one_round(epis, plan).items():
                        measured[which][figure].append(rate)
                        say(f"round {number + 1} of {rounds}: {which}: {figure} {rate:,.0f}")
    return {
        "entries": plan.ledger,
        "backlog": plan.backlog,
        "connections": plan.connections,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "rounds_of_requests": 2 * plan.rounds,
        **measured,
    }


def _requests(epis: Instance, plan: Plan) -> dict[str, float]:
    counting = arms.one_round(epis, arms.epis_itself(epis), plan.seconds, plan.connections)
    reading = load.run(
        epis.url(epis.counter_path),
        token=epis.token,
        seconds=plan.seconds,
        connections=plan.connections,
        items=0,
    )
    return {"counting": counting["applied_per_s"], "reading": reading.per_second}


def _backlog(epis: Instance, plan: Plan) -> dict[str, float]:
    drained = drain(epis, plan.backlog)
    return {"draining": drained.per_second, DISK: disk.mebibytes_per_second(epis.data)}


def report(raw: dict[str, Any]) -> Section:
    empty, long = raw["empty"], raw["long"]
    kept = {figure: ratio(long[figure], empty[figure]) for figure in [*WAYS, DISK]}
    return Section(
        title="A long ledger",
        text=TEXT.format(**raw),
        tables=[
            Table(
                ("per second", "empty", f"{raw['entries']:,} entries", "kept"),
                [
                    [
                        what,
                        spread(Figure.of(empty[way])),
                        spread(Figure.of(long[way])),
                        times(kept[way]),
                    ]
                    for way, what in {**WAYS, DISK: "MiB the disk takes, behind each round"}.items()
                ],
            )
        ],
        charts={
            "long-ledger": Chart(
                f"What is kept with {raw['entries']:,} entries",
                "times the speed with none",
                [Bar(what, kept[way], ours=True) for way, what in WAYS.items()],
            )
        },
        targets=[
            Target(f"{raw['entries']:,} entries to none: {what}", kept[way].median, NEEDED_RATIO)
            for way, what in WAYS.items()
        ],
    )
