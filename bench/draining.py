"""A backlog appears, and the consumer works it off."""

import time
from dataclasses import dataclass

from bench import ledger
from bench.instance import Instance
from bench.waiting import wait_until

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
    consumer = epis.consumer()

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
