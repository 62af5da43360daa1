"""A backlog of a million, against the hot row in plain SQL."""

from dataclasses import asdict
from typing import Any

from bench import arms, ledger, pgbench
from bench.arms import LABELS
from bench.chapters.counting import column
from bench.charts import Bar, Chart
from bench.draining import drain, drain_tasks
from bench.errors import CannotMeasure
from bench.figures import Figure, ratio
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread, times

NAME = "draining"
NEEDED_PER_SECOND = 60_000
NEEDED_TO_HOT_ROW, NEEDED_TO_TASKS = 15, 20
PILE_SECONDS = 2
MEGABYTE = 1_000_000

TEXT = """\
{backlog:,} increments of one counter become pending in one commit, and the consumer works them \
off: each gets its place, its result and its entry in the ledger. Memory is the resident set of \
the largest of its processes, sampled all the while. Beside it, in alternation on the same \
servers, {connections} clients of `pgbench` with prepared statements update one hot row, with \
nothing else around it, for {seconds} s; and the consumer of (c) works off the tasks that piled \
up in front of it during {pile_seconds} s of requests: drained is held against drained, for \
over HTTP neither can be faster than a request that does nothing. {rounds} rounds."""


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    drained: list[dict[str, float]] = []
    hot: list[dict[str, float]] = []
    tasks: list[dict[str, float]] = []
    with Instance(plan) as epis:
        consumer = arms.prepare(epis)
        drain(epis, min(plan.backlog, 20_000))  # to warm up
        for number in range(plan.rounds):
            drained.append(asdict(drain(epis, plan.backlog)))
            rate = pgbench.hot_row_per_second(epis, clients=plan.connections, seconds=plan.seconds)
            hot.append({"per_second": rate})
            worked_off = drain_tasks(
                epis, consumer, seconds=PILE_SECONDS, connections=plan.connections
            )
            tasks.append({"per_second": worked_off})
            say(
                f"round {number + 1} of {plan.rounds}: drained "
                f"{drained[-1]['per_second']:,.0f}/s, hot row {rate:,.0f}/s, "
                f"tasks {worked_off:,.0f}/s"
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
        "pile_seconds": PILE_SECONDS,
        "tasks": tasks,
    }


def report(raw: dict[str, Any]) -> Section:
    drained = column(raw["drained"], "per_second")
    hot = column(raw["hot_row"], "per_second")
    tasks = column(raw["tasks"], "per_second")
    to_hot_row, to_tasks = ratio(drained, hot), ratio(drained, tasks)
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
                ("", "increments/s", "epis to it"),
                [
                    [f"epis, {backlog}", spread(Figure.of(drained)), ""],
                    [clients, spread(Figure.of(hot)), times(to_hot_row, 1)],
                    [LABELS["celery"], spread(Figure.of(tasks)), times(to_tasks, 0)],
                ],
            ),
            Table(
                ("the consumer's memory, MB", "before", "peak", "after"),
                [["", *(spread(figure) for figure in memory)]],
            ),
        ],
        charts={
            "draining": Chart(
                "One consumer in order, or everybody on one row",
                "increments a second",
                [
                    Bar("epis' consumer", Figure.of(drained), ours=True),
                    Bar(clients, Figure.of(hot)),
                    Bar(LABELS["celery"], Figure.of(tasks)),
                ],
            )
        },
        targets=[
            Target(f"{backlog}: applied", Figure.of(drained).median, NEEDED_PER_SECOND, unit="/s"),
            Target(f"{backlog}, to {clients} in plain SQL", to_hot_row.median, NEEDED_TO_HOT_ROW),
            Target(f"{backlog}, to that of {LABELS['celery']}", to_tasks.median, NEEDED_TO_TASKS),
        ],
    )
