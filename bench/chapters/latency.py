"""From accepted to applied, while half of what would be possible comes in."""

from typing import Any

from bench import arms, ledger, load
from bench.chapters.counting import column
from bench.figures import Figure
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread
from bench.waiting import wait_until
from bench.waiting_client import WaitingClient
from harness.figures import quantile

NAME = "latency"
MOST_MS = {"p50_ms": 50, "p99_ms": 250}
WAIT_SECONDS = 5
MOST_SECONDS = 60

TEXT = """\
{connections} connections send increments with random pauses, about half as many as the same \
instance took at most just before, for {seconds} s a round, {rounds} rounds. *Accepted to \
applied* is between the two times on the receipts. *As a client waits* is the whole request of \
one more client that sends increments one after the other with `Prefer: wait={wait}`, and so \
gets the applied receipt as its answer."""


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    with Instance(plan) as epis:
        arm = arms.epis_itself(epis)
        arms.one_round(epis, arm, plan.warm_up_seconds, plan.connections)
        full = arms.one_round(epis, arm, plan.seconds, plan.connections)
        say(f"at most {full['applied_per_s']:,.0f}/s, so about half of that:")
        pause_ms = _pause_ms(epis, plan, full["applied_per_s"] / 2)
        measured = []
        for number in range(plan.rounds):
            done = _one_round(epis, plan, pause_ms)
            measured.append(done)
            say(
                f"round {number + 1} of {plan.rounds}: at {done['accepted_per_s']:,.0f}/s "
                f"p50 {done['p50_ms']:.1f} ms, p99 {done['p99_ms']:.1f} ms"
            )
    return {
        "connections": plan.connections,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "wait": WAIT_SECONDS,
        "full_per_s": full["applied_per_s"],
        "half_load": measured,
    }


def _pause_ms(epis: Instance, plan: Plan, rate: float) -> float:
    """How long a connection has to pause for all of them to reach the rate.

    Its turn is the pause and the answer. How long that takes under about such a load is
    seen in a short try.
    """
    turn_ms = plan.connections / rate * 1000
    tried = load.run(
        epis.url(f"{epis.counter_path}increments/"),
        token=epis.token,
        seconds=plan.warm_up_seconds,
        connections=plan.connections,
        pause_ms=turn_ms,
    )
    answer_ms = plan.connections / tried.per_second * 1000 - turn_ms
    return max(turn_ms - answer_ms, 1)


def _one_round(epis: Instance, plan: Plan, pause_ms: float) -> dict[str, float]:
    began = ledger.now(epis.database)
    with WaitingClient(epis, WAIT_SECONDS) as client:
        done = load.run(
            epis.url(f"{epis.counter_path}increments/"),
            token=epis.token,
            seconds=plan.seconds,
            connections=plan.connections,
            pause_ms=pause_ms,
        )
    wait_until(
        "all increments applied",
        lambda: not ledger.pending(epis.database, epis.counter),
        seconds=MOST_SECONDS,
    )
    p50, p99, most = ledger.latencies_ms(epis.database, epis.counter, began, [0.5, 0.99, 1.0])
    return {
        "accepted_per_s": done.per_second,
        "p50_ms": p50,
        "p99_ms": p99,
        "most_ms": most,
        "waited": len(client.answers_ms),
        "waited_p50_ms": quantile(client.answers_ms, 0.5),
        "waited_p99_ms": quantile(client.answers_ms, 0.99),
        "waited_most_ms": max(client.answers_ms),
        "share_applied": client.share_applied,
    }


def report(raw: dict[str, Any]) -> Section:
    rounds = raw["half_load"]

    def shown(name: str) -> str:
        return spread(Figure.of(column(rounds, name)), 1)

    load_now = Figure.of(column(rounds, "accepted_per_s"))
    return Section(
        title="From accepted to applied",
        text=TEXT.format(**raw),
        tables=[
            Table(
                ("ms", "p50", "p99", "longest"),
                [
                    ["accepted to applied", *map(shown, ("p50_ms", "p99_ms", "most_ms"))],
                    [
                        "as a client waits",
                        *map(shown, ("waited_p50_ms", "waited_p99_ms", "waited_most_ms")),
                    ],
                ],
            ),
            Table(
                ("the load", ""),
                [
                    ["at most just before, increments/s", f"{raw['full_per_s']:,.0f}"],
                    ["while these were measured", spread(load_now)],
                    [
                        "waited for and applied in time",
                        f"{Figure.of(column(rounds, 'share_applied')).low:.1%} or more",
                    ],
                ],
            ),
        ],
        targets=[
            Target(
                f"accepted to applied, {name.removesuffix('_ms')}",
                Figure.of(column(rounds, name)).median,
                most,
                unit="ms",
                at_most=True,
            )
            for name, most in MOST_MS.items()
        ],
    )
