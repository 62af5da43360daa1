"""One increment a request, everybody on one counter: epis beside its alternatives."""

from typing import Any

from bench import arms, ledger
from bench.arms import LABELS, Round
from bench.charts import Bar, Chart
from bench.errors import CannotMeasure
from bench.figures import Figure, ratio
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import TIMES, Section, Table, Target, spread, times

NAME = "counting"

# Against what, by which of its figures, and how many times as much is wanted.
TARGETS = (
    ("keyed", "accepted_per_s", 2.3),
    ("hot", "accepted_per_s", 1.4),
    ("redis", "accepted_per_s", 1.0),
    ("nothing", "accepted_per_s", 0.8),
)

TEXT = """\
{connections} connections send one increment a request to one counter, each with a fresh random \
key, for {seconds} s a round, {rounds} rounds. All arms answer from the same web server \
({workers} workers of {threads} threads) behind the same middleware and the same authentication \
(a bearer token looked up on each request), to the same bytes. epis looks the tokens of a group \
up together, for it has groups; what that does for a request that does nothing is the last row. \
*Accepted* counts the answers; *applied* counts them up to the moment when all are in the value, \
which for everyone but epis and (c) is the same.

- **epis**: committed and fsynced before the answer, the key kept for ever, applied in order by \
the single consumer, each with its own result. After each round: nothing pending, and the value \
moved by what was answered (the requests that wrk hangs up on at the end may be in it or not). \
In the end the results were 1 to the value, each once.
- **(a)** `UPDATE … SET value = value + 1` on a row with a page of its own: prepared, in \
autocommit, over a lasting raw connection without Django around it.
- **(b)** the same, harmless to repeat: the key's row and the update in one transaction; and once \
more as one statement, which is less usual and faster.
- **(c)** one Celery task for each increment, a single consumer in the fastest of Celery's pools, \
fetching ahead, acknowledging early, keeping no result.
- **(d)** `INCR` over a lasting connection to the unix socket. No key, no order, and a crash \
loses up to a second.
- **(e)** a view that does nothing: what web server, Django, DRF and authentication cost.

A request that waits for a row's lock or for a commit holds a web thread meanwhile, so more \
threads might let more through: the second table has a shorter pass with {other_threads} of them."""

OTHER_ROUNDS = 2


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    usual = _measure(plan, plan.web_threads, plan.rounds, say)
    say(f"the same with {plan.other_threads} web threads")
    other = _measure(plan, plan.other_threads, min(plan.rounds, OTHER_ROUNDS), say)
    return {
        "connections": plan.connections,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "workers": plan.web_workers,
        "threads": plan.web_threads,
        "arms": usual,
        "other_threads": plan.other_threads,
        "arms_with_other_threads": other,
    }


def _measure(plan: Plan, threads: int, rounds: int, say: Say) -> dict[str, list[Round]]:
    with Instance(plan, web_threads=threads) as epis:
        arms.prepare(epis)
        measured = arms.measure(epis, arms.all_arms(epis), plan, rounds, say)
        if not ledger.is_one_sequence(epis.database, epis.counter):
            raise CannotMeasure("epis' results are not 1 to the value, each once")
    return measured


def report(raw: dict[str, Any]) -> Section:
    arms: dict[str, list[Round]] = raw["arms"]
    ours = column(arms["epis"], "applied_per_s")
    return Section(
        title="One increment a request",
        text=TEXT.format(**raw),
        tables=[_table(arms), _threads_table(raw)],
        charts={"counting": _chart(raw)},
        targets=[
            Target(
                f"epis to {LABELS[name]}, {figure.removesuffix('_per_s')}",
                ratio(ours, column(arms[name], figure)).median,
                needed,
            )
            for name, figure, needed in TARGETS
        ],
    )


def column(rounds: list[Round], name: str) -> list[float]:
    return [each[name] for each in rounds]


def _chart(raw: dict[str, Any]) -> Chart:
    return Chart(
        f"One counter, {raw['connections']} connections",
        "increments accepted and applied a second",
        [
            Bar(LABELS[name], Figure.of(column(rounds, "applied_per_s")), name == "epis")
            for name, rounds in raw["arms"].items()
        ],
    )


def _table(arms: dict[str, list[Round]]) -> Table:
    ours = column(arms["epis"], "applied_per_s")

    def row(name: str, rounds: list[Round]) -> list[str]:
        ratios = ratio(ours, column(rounds, "applied_per_s"))
        return [
            LABELS[name],
            spread(Figure.of(column(rounds, "accepted_per_s"))),
            spread(Figure.of(column(rounds, "applied_per_s"))),
            "" if name == "epis" else times(ratios),
            spread(Figure.of(column(rounds, "p50_ms")), 1),
            spread(Figure.of(column(rounds, "p99_ms")), 1),
        ]

    return Table(
        ("", "accepted/s", "applied/s", "epis to it", "answer p50, ms", "p99, ms"),
        [row(name, rounds) for name, rounds in arms.items()],
    )


def _threads_table(raw: dict[str, Any]) -> Table:
    """Each arm with either number of web threads, and epis to it, both at their better one."""
    usual, other = (
        {name: Figure.of(column(rounds, "applied_per_s")) for name, rounds in raw[arms].items()}
        for arms in ("arms", "arms_with_other_threads")
    )
    best = {name: max(usual[name].median, other[name].median) for name in usual}
    return Table(
        (
            "applied/s",
            f"{raw['threads']} threads",
            f"{raw['other_threads']} threads",
            "epis to it, both at their better",
        ),
        [
            [
                LABELS[name],
                spread(usual[name]),
                spread(other[name]),
                "" if name == "epis" else f"{best['epis'] / best[name]:.2f} {TIMES}",
            ]
            for name in usual
        ],
    )
