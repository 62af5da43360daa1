"""A backlog of a million, against the hot row in plain SQL."""

from dataclasses import asdict
from typing import Any

from bench import ledger, pgbench
from bench.chapters.counting import column
from bench.charts import Bar, Chart
from bench.draining import drain
from bench.errors import CannotMeasure
from bench.figures import Figure, ratio
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread, times
from bench.web import storage

NAME = "draining"
NEEDED_PER_SECOND = 60_000
NEEDED_RATIO = 15
MEGABYTE = 1_000_000

TEXT = """\
{backlog:,} increments of one counter become pending in one commit, and the consumer works them \
off: each gets its place, its result and its entry in the ledger. Beside it, in alternation on \
the same server, {connections} clients of `pgbench` with prepared statements update one hot row, \
with nothing else around it, for {seconds} s. {rounds} rounds. Memory is the resident set of the \
consumer's largest process, sampled all the while."""


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    drained: list[dict[str, float]] = []
    hot: list[dict[str, float]] = []
    with Instance(plan) as epis:
        storage.create(epis.database)
        drain(epis, min(plan.backlog, 20_000))  # to warm up
        for number in range(plan.rounds):
            drained.append(asdict(drain(epis, plan.backlog)))
            rate = pgbench.hot_row_per_second(epis, clients=plan.connections, seconds=plan.seconds)
            hot.append({"per_second": rate})
            say(
                f"round {number + 1} of {plan.rounds}: drained "
                f"{drained[-1]['per_second']:,.0f}/s, hot row {rate:,.0f}/s"
            )
        if not ledger.is_one_sequence(epis.database, epis.counter):
            raise CannotMeasure("the results are not 1 to the value, each once")
    return {
        "backlog": plan.backlog,
        "connections": plan.connections,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "drained": drained,
        "hot_row": hot,
    }


def report(raw: dict[str, Any]) -> Section:
    drained = column(raw["drained"], "per_second")
    hot = column(raw["hot_row"], "per_second")
    ratios = ratio(drained, hot)
    memory = [
        Figure.of([each / MEGABYTE for each in column(raw["drained"], name)])
        for name in ("rss_before", "rss_peak", "rss_after")
    ]
    clients = f"{raw['connections']} clients on a hot row"
    backlog = f"backlog of {raw['backlog']:,}"
    return Section(
        title="Draining a backlog",
        text=TEXT.format(**raw),
        tables=[
            Table(
                ("", "increments/s"),
                [
                    [f"epis, {backlog}", spread(Figure.of(drained))],
                    [clients, spread(Figure.of(hot))],
                    ["epis to it", times(ratios, 1)],
                ],
            ),
            Table(
                ("the consumer's memory, MB", "before", "peak", "after"),
                [["", *(spread(figure) for figure in memory)]],
            ),
        ],
        charts={
            "draining": Chart(
                "Plain SQL speed: one consumer in order, or everybody on one row",
                "increments a second",
                [
                    Bar("epis' consumer", Figure.of(drained), ours=True),
                    Bar(clients, Figure.of(hot)),
                ],
            )
        },
        targets=[
            Target(f"{backlog}: applied", Figure.of(drained).median, NEEDED_PER_SECOND, unit="/s"),
            Target(f"{backlog}, to {clients} in plain SQL", ratios.median, NEEDED_RATIO),
        ],
    )
