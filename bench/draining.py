"""A backlog appears, and a single consumer works it off: epis' own, or that of (c)."""

import signal
import subprocess  # nosec B404
import time
from dataclasses import dataclass

from bench import arms, ledger, load
from bench.instance import Instance
from bench.waiting import wait_until
from bench.web import storage

MOST_SECONDS = 300


@dataclass(frozen=True)
class Drained:
    """One backlog. Memory is the resident set of the consumer's largest process, in bytes."""

    per_second: float
    rss_before: int
    rss_peak: int
    rss_after: int


def drain(epis: Instance, rows: int) -> Drained:
    """Have the consumer apply so many increments that all become pending at one moment.

    The last one comes over HTTP and rings for all. Timed from just before the others are
    committed to the value that has all of them in it.
    """
    before = ledger.value(epis.database, epis.counter)
    consumer = epis.worker("counter")

    def rss() -> int:
        return max(process.memory_info().rss for process in consumer)

    rss_before = rss_peak = rss()
    with epis.database.transaction():
        ledger.fill_inbox(epis.database, epis.counter, rows - 1)
        # The filling's own pages, or writing them would fall into what is timed.
        epis.database.execute("CHECKPOINT")
        started = time.monotonic()
    epis.call("POST", f"{epis.counter_path}increments/", {})

    def is_done() -> bool:
        nonlocal rss_peak
        rss_peak = max(rss_peak, rss())
        return ledger.value(epis.database, epis.counter) >= before + rows

    wait_until(f"{rows:,} increments applied", is_done, seconds=MOST_SECONDS, every=0.02)
    seconds = time.monotonic() - started
    return Drained(rows / seconds, rss_before, rss_peak, rss())


def drain_tasks(
    epis: Instance, consumer: "subprocess.Popen[bytes]", *, seconds: int, connections: int
) -> float:
    """How many tasks of (c) its consumer works off a second, with nothing else going on.

    It is frozen while they pile up for so many seconds.
    """
    arm = arms.a_task_each(epis)
    before = storage.value_of(epis.database, storage.CELERY)
    consumer.send_signal(signal.SIGSTOP)
    try:
        piled = load.run(
            epis.url(arm.path), token=epis.token, seconds=seconds, connections=connections
        )
    finally:
        consumer.send_signal(signal.SIGCONT)
    started = time.monotonic()
    wait_until(
        f"{piled.answered:,} tasks worked off",
        lambda: storage.value_of(epis.database, storage.CELERY) >= before + piled.answered,
        seconds=MOST_SECONDS,
    )
    return piled.answered / (time.monotonic() - started)
