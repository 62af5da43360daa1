"""What runs side by side: epis and the alternatives, each loaded and checked the same way."""

import subprocess  # nosec B404
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from bench import ledger, load
from bench.errors import CannotMeasure
from bench.figures import rotated
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.waiting import wait_until
from bench.web import storage

DRAIN_SECONDS = 180
# The fastest single consumer of those tried: one thread, which works while another fetches
# (251 to 523 tasks a second drained; without a pool 114 to 384, in a process 151 to 418), with
# as many messages fetched ahead as it likes and nothing to log.
WORKER = (
    *("-m", "celery", "-A", "bench.web.task_each", "worker", "--queues", "bench"),
    *("--concurrency", "1", "--pool", "threads", "--prefetch-multiplier", "1000"),
    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)

LABELS = {
    "epis": "epis",
    "hot": "(a) hot row",
    "keyed": "(b) hot row and key",
    "keyed-at-once": "(b) in one statement",
    "celery": "(c) a Celery task each",
    "redis": "(d) Redis INCR",
    "nothing": "(e) nothing at all",
    "nothing-shared": "(e) with tokens looked up together",
}

Round = dict[str, float]


@dataclass(frozen=True)
class Arm:
    """One way to count. `counted` tells how much it has; None for one that counts nothing."""

    name: str
    path: str
    counted: Callable[[], int] | None
    pending: Callable[[], int] = lambda: 0

    @property
    def label(self) -> str:
        return LABELS[self.name]


def epis_itself(epis: Instance) -> Arm:
    """Increments of the instance's counter; single ones, or arrays."""
    return Arm(
        "epis",
        f"{epis.counter_path}increments/",
        lambda: ledger.value(epis.database, epis.counter),
        lambda: ledger.pending(epis.database, epis.counter),
    )


def a_task_each(epis: Instance) -> Arm:
    """(c). Its consumer has to run."""
    return Arm(
        "celery",
        "/bench/celery/",
        lambda: storage.value_of(epis.database, storage.CELERY),
    )


def all_arms(epis: Instance) -> list[Arm]:
    """epis first. The alternatives' tables have to be there."""
    server = redis.Redis(unix_socket_path=str(epis.locations.valkey_socket))

    def row(number: int) -> Callable[[], int]:
        return lambda: storage.value_of(epis.database, number)

    return [
        epis_itself(epis),
        Arm("hot", "/bench/hot/", row(storage.HOT)),
        Arm("keyed", "/bench/keyed/", row(storage.KEYED)),
        Arm("keyed-at-once", "/bench/keyed-at-once/", row(storage.KEYED_AT_ONCE)),
        a_task_each(epis),
        Arm("redis", "/bench/redis/", lambda: int(server.get(storage.REDIS_KEY) or 0)),
        Arm("nothing", "/bench/nothing/", None),
        Arm("nothing-shared", "/bench/nothing-shared/", None),
    ]


def prepare(epis: Instance) -> "subprocess.Popen[bytes]":
    """Make the alternatives' tables, and start the consumer of (c), which is returned."""
    storage.create(epis.database)
    return epis.start("consumer-of-tasks", *WORKER)


def measure(
    epis: Instance, arms: Sequence[Arm], plan: Plan, rounds: int, say: Say
) -> dict[str, list[Round]]:
    """Each arm once a round, in an order that turns; before that, each is warmed up."""
    for arm in arms:
        one_round(epis, arm, plan.warm_up_seconds, plan.connections)
    measured: dict[str, list[Round]] = {arm.name: [] for arm in arms}
    for number in range(rounds):
        for arm in rotated(arms, number):
            done = one_round(epis, arm, plan.seconds, plan.connections)
            measured[arm.name].append(done)
            say(
                f"round {number + 1} of {rounds}: {arm.label}: "
                f"{done['accepted_per_s']:,.0f}/s accepted, {done['applied_per_s']:,.0f}/s applied"
            )
    return measured


def one_round(epis: Instance, arm: Arm, seconds: int, connections: int, *, items: int = 1) -> Round:
    """Load the arm, wait until it has counted everything, and check that it did.

    The time until all is applied runs from the load's first request. Raises CannotMeasure
    if an answered request was not counted, or more than were sent.
    """
    before = arm.counted() if arm.counted else 0
    done = load.run(
        epis.url(arm.path),
        token=epis.token,
        seconds=seconds,
        connections=connections,
        items=items,
    )
    ended = time.monotonic()
    answered = done.answered * items
    if arm.counted:
        _wait_until_counted(arm, arm.counted, before + answered, connections * items)
    drained = time.monotonic() - ended
    return {
        "answered": answered,
        "seconds": done.seconds,
        "seconds_to_drain": drained,
        "accepted_per_s": answered / done.seconds,
        "applied_per_s": answered / (done.seconds + drained),
        "p50_ms": done.p50_ms,
        "p99_ms": done.p99_ms,
    }


def _wait_until_counted(
    arm: Arm, counted: Callable[[], int], answered: int, under_way: int
) -> None:
    """wrk hangs up on the requests under way when its time is over: those may count or not.

    So may those of the load before, of which some came to be counted only now.
    """
    wait_until(
        f"{arm.label}: all increments counted",
        lambda: counted() >= answered and not arm.pending(),
        seconds=DRAIN_SECONDS,
    )
    surplus = counted() - answered
    if surplus > 2 * under_way:
        raise CannotMeasure(f"{arm.label} counted {surplus - 2 * under_way} more than was sent")
