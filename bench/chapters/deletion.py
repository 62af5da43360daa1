"""An account with a million todos deleted, and ten thousand small ones."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from bench import cascade
from bench.accounts import Leaver, add_accounts, add_todos, delete_at_once
from bench.chapters.counting import column
from bench.charts import Bar, Chart
from bench.figures import Figure, ratio, rotated
from bench.instance import Instance
from bench.other_user import OtherUser
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread, times
from harness.figures import quantile

NAME = "deletion"
SHARES = (10, 100)  # over how many accounts the same number of todos is spread
TODOS_EACH = 10
OTHERS_TODOS = 1_000
MOST_TO_RAW, MOST_TO_CASCADE = 2.0, 0.2
MOST_MEMORY_MB, MOST_LATENCY, MOST_SPREAD, LEAST_PER_SECOND = 20, 2.0, 1.2, 100
MEGABYTE = 1_000_000
LABELS = {"raw": "(a) one raw DELETE", "cascade": "(b) Django's cascade", "epis": "epis"}

TEXT = """\
One account with {todos:,} todos goes, {rounds} rounds, each arm on rows of its own that were \
filled in just before, with all their indexes, vacuumed and written to disk.

- **epis**: from the request to the certificate: accepted over HTTP, worked off by the background \
worker in chunks of a tenth of a second, counted, every database scanned for what is left.
- **(a)** one `DELETE FROM todos_todo WHERE owner_id = …` on the same table. It holds its locks \
until it ends, and tells nobody how far it is.
- **(b)** `user.delete()` with `on_delete=CASCADE` on a table with the same columns and indexes. \
Something listens for todos that are deleted, as a search engine's index or an audit log does, so \
Django fetches them all; where nobody listens, and nothing points to them, it sends (a).

Memory is by how much a process of the worker grew meanwhile, at most; of (b), what its process \
had in all. *Somebody else* lists todos and creates them, one request after the other each, for \
{seconds} s, and then during another deletion of {todos:,} todos.

*The same todos in more accounts*: {todos:,} in all, in accounts that are all deleted at one \
moment. *Small ones*: {accounts:,} accounts with {each} todos each, at one moment."""


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in LABELS}
    shared: dict[str, list[dict[str, float]]] = {str(number): [] for number in SHARES}
    small: list[dict[str, float]] = []
    before, during = OtherUser.answers(), OtherUser.answers()
    with Instance(plan) as epis:
        add_todos(epis, [epis.call("GET", "/api/users/me/")["id"]], OTHERS_TODOS)
        _epis(epis, 1, plan.todos // 100)  # to warm up
        arms: dict[str, Callable[[], dict[str, float]]] = {
            "raw": lambda: _raw(epis, plan.todos),
            "cascade": lambda: cascade.measure(epis, plan.todos),
            "epis": lambda: _epis(epis, 1, plan.todos),
        }
        for number in range(plan.rounds):
            for name in rotated(list(arms), number):
                done = arms[name]()
                measured[name].append(done)
                say(f"round {number + 1} of {plan.rounds}: {LABELS[name]}: {done['seconds']:.2f} s")
            for share in SHARES:
                done = _epis(epis, share, plan.todos // share)
                shared[str(share)].append(done)
                took = f"{done['seconds']:.2f} s"
                say(f"round {number + 1} of {plan.rounds}: {share} accounts: {took}")
            _beside_somebody_else(epis, plan, before, during)
            done = _epis(epis, plan.accounts, TODOS_EACH)
            small.append({"per_second": plan.accounts / done["seconds"]})
            say(f"round {number + 1} of {plan.rounds}: {small[-1]['per_second']:,.0f} small ones/s")
    return {
        "todos": plan.todos,
        "accounts": plan.accounts,
        "each": TODOS_EACH,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        **measured,
        "shared": shared,
        "small": small,
        "latency": {
            what: {
                "before_p50_ms": quantile(before[what], 0.5),
                "before_p99_ms": quantile(before[what], 0.99),
                "during_p50_ms": quantile(during[what], 0.5),
                "during_p99_ms": quantile(during[what], 0.99),
                "before_requests": len(before[what]),
                "during_requests": len(during[what]),
            }
            for what in before
        },
    }


def _raw(epis: Instance, todos: int) -> dict[str, float]:
    owner_ids = add_accounts(epis, 1)
    add_todos(epis, owner_ids, todos)
    began = time.monotonic()
    epis.connection("todos").execute("DELETE FROM todos_todo WHERE owner_id = %s", owner_ids)
    return {"seconds": time.monotonic() - began}


def _epis(epis: Instance, number: int, each: int) -> dict[str, float]:
    """Delete so many accounts with so many todos each. Memory is the worker's growth, in bytes."""
    others, last = _settle(epis, number, each)
    worker = epis.worker("background")
    before = {process.pid: process.memory_info().rss for process in worker}
    peak = dict(before)

    def look() -> None:
        for process in worker:
            peak[process.pid] = max(peak[process.pid], process.memory_info().rss)

    seconds = delete_at_once(epis, others, last, meanwhile=look)
    return {"seconds": seconds, "memory": max(peak[pid] - before[pid] for pid in before)}


def _settle(epis: Instance, number: int, each: int) -> tuple[list[UUID], Leaver]:
    """So many accounts with so many todos each: all but one, and the one that can sign in."""
    others, last = add_accounts(epis, number - 1), Leaver(epis)
    add_todos(epis, [*others, last.id], each)
    return others, last


def _beside_somebody_else(
    epis: Instance, plan: Plan, before: dict[str, list[float]], during: dict[str, list[float]]
) -> None:
    others, last = _settle(epis, 1, plan.todos)
    with OtherUser(epis, before):
        time.sleep(plan.seconds)
    with OtherUser(epis, during):
        delete_at_once(epis, others, last)


def report(raw: dict[str, Any]) -> Section:
    return Section(
        title="Deleting an account",
        text=TEXT.format(**raw),
        tables=[_arms(raw), _somebody_else(raw), _spread_out(raw), _small(raw)],
        charts={
            "deletion": Chart(
                f"An account with {raw['todos']:,} todos",
                "seconds until all is gone",
                [
                    Bar(LABELS[name], Figure.of(_seconds(raw, name)), ours=name == "epis")
                    for name in ("epis", "raw", "cascade")
                ],
            )
        },
        targets=_targets(raw),
    )


def _seconds(raw: dict[str, Any], name: str) -> list[float]:
    return column(raw[name], "seconds")


def _to(raw: dict[str, Any], name: str) -> Figure:
    return ratio(_seconds(raw, "epis"), _seconds(raw, name))


def _memory_mb(raw: dict[str, Any], name: str) -> Figure:
    return Figure.of([each / MEGABYTE for each in column(raw[name], "memory")])


def _us_a_row(raw: dict[str, Any]) -> dict[str, Figure]:
    """By the number of accounts."""
    rounds = {"1": raw["epis"], **raw["shared"]}
    return {
        number: Figure.of([each / raw["todos"] * 1e6 for each in column(done, "seconds")])
        for number, done in rounds.items()
    }


def _arms(raw: dict[str, Any]) -> Table:
    rows = [
        [
            LABELS[name],
            spread(Figure.of(_seconds(raw, name)), 2),
            "" if name == "epis" else times(_to(raw, name)),
            "" if name == "raw" else spread(_memory_mb(raw, name)),
        ]
        for name in ("epis", "raw", "cascade")
    ]
    return Table((f"{raw['todos']:,} todos", "seconds", "epis to it", "memory, MB"), rows)


def _somebody_else(raw: dict[str, Any]) -> Table:
    columns = ("somebody else, ms", "p50 before", "during", "p99 before", "during", "requests")
    names = ("before_p50_ms", "during_p50_ms", "before_p99_ms", "during_p99_ms")
    rows = [
        [
            what,
            *(f"{figures[name]:.1f}" for name in names),
            f"{figures['before_requests']:,} and {figures['during_requests']:,}",
        ]
        for what, figures in raw["latency"].items()
    ]
    return Table(columns, rows)


def _spread_out(raw: dict[str, Any]) -> Table:
    def named(number: int) -> str:
        return f"{number} account{'s' if number > 1 else ''} of {raw['todos'] // number:,}"

    rows = [[named(int(number)), spread(each, 2)] for number, each in _us_a_row(raw).items()]
    return Table((f"{raw['todos']:,} todos in all", "µs a row"), rows)


def _small(raw: dict[str, Any]) -> Table:
    rate = Figure.of(column(raw["small"], "per_second"))
    what = f"{raw['accounts']:,} with {raw['each']} todos each"
    return Table(("small ones", "accounts/s"), [[what, spread(rate)]])


def _targets(raw: dict[str, Any]) -> list[Target]:
    big = f"{raw['todos']:,} todos"
    costs = [figure.median for figure in _us_a_row(raw).values()]
    small = Figure.of(column(raw["small"], "per_second"))
    to_raw, to_cascade = _to(raw, "raw").median, _to(raw, "cascade").median
    grown = _memory_mb(raw, "epis").median
    return [
        Target(f"{big}, to {LABELS['raw']}", to_raw, MOST_TO_RAW, at_most=True),
        Target(f"{big}, to {LABELS['cascade']}", to_cascade, MOST_TO_CASCADE, at_most=True),
        Target(f"{big}: the worker grows by", grown, MOST_MEMORY_MB, unit="MB", at_most=True),
        *(
            Target(
                f"somebody else's {what}, p99 during to before",
                figures["during_p99_ms"] / figures["before_p99_ms"],
                MOST_LATENCY,
                at_most=True,
            )
            for what, figures in raw["latency"].items()
        ),
        Target(
            "cost of a row, the dearest of three sizes to the cheapest",
            max(costs) / min(costs),
            MOST_SPREAD,
            at_most=True,
        ),
        Target("small accounts deleted", small.median, LEAST_PER_SECOND, unit="/s"),
    ]
