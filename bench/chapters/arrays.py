"""Arrays of increments over HTTP."""

from typing import Any

from bench import arms, disk, ledger
from bench.chapters.counting import column
from bench.errors import CannotMeasure
from bench.figures import Figure
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread

NAME = "arrays"
ITEMS = 1_000
CONNECTIONS = 4
NEEDED_PER_SECOND = 40_000

TEXT = """\
{connections} connections send arrays of {items:,} increments to one counter, each item with a \
fresh random key, for {seconds} s a round, {rounds} rounds. Counted are the items of answered \
arrays: all of them committed, and applied when the time is taken. That is a lot to write: behind \
each round it is measured how fast the disk takes a file."""


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    measured = []
    with Instance(plan) as epis:
        arm = arms.epis_itself(epis)
        arms.one_round(epis, arm, plan.warm_up_seconds, CONNECTIONS, items=ITEMS)
        for number in range(plan.rounds):
            done = arms.one_round(epis, arm, plan.seconds, CONNECTIONS, items=ITEMS)
            done["disk_mib_per_s"] = disk.mebibytes_per_second(epis.data)
            measured.append(done)
            say(
                f"round {number + 1} of {plan.rounds}: {done['applied_per_s']:,.0f}/s applied, "
                f"the disk {done['disk_mib_per_s']:,.0f} MiB/s"
            )
        if not ledger.is_one_sequence(epis.database, epis.counter):
            raise CannotMeasure("the results are not 1 to the value, each once")
    return {
        "connections": CONNECTIONS,
        "items": ITEMS,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "arrays": measured,
    }


def report(raw: dict[str, Any]) -> Section:
    arrays = raw["arrays"]
    applied = Figure.of(column(arrays, "applied_per_s"))
    return Section(
        title="Arrays",
        text=TEXT.format(**raw),
        tables=[
            Table(
                ("", "accepted/s", "applied/s", "answer p50, ms", "p99, ms", "disk, MiB/s"),
                [
                    [
                        f"arrays of {raw['items']:,}",
                        spread(Figure.of(column(arrays, "accepted_per_s"))),
                        spread(applied),
                        spread(Figure.of(column(arrays, "p50_ms")), 1),
                        spread(Figure.of(column(arrays, "p99_ms")), 1),
                        spread(Figure.of(column(arrays, "disk_mib_per_s"))),
                    ]
                ],
            )
        ],
        targets=[
            Target(
                f"arrays of {raw['items']:,}: applied", applied.median, NEEDED_PER_SECOND, unit="/s"
            )
        ],
    )
