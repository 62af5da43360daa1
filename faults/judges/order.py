"""Each counter is linearizable (Herlihy and Wing, 1990), which is decided in time n log n.

To find an order for any history is NP-complete, and checkers such as Knossos and Porcupine search
for one. Here there is nothing to search for:

- *Tickets*: every increment has a place in the ledger, and with positive amounts every value of
  a counter belongs to one place. So there is a single order in question, and it is only looked
  whether it contradicts the clock.
- *Totals*: what is accepted, `value + pending.amount`, counts increments that may not have a
  place yet. Where all of them are ones, reads have an order by what they read. Which increments
  come before which read is a matching of jobs that have a first and a last slot each, and for
  those the earliest deadline first finds one if there is one.

Where amounts differ, totals are held to what must follow: what was acknowledged before a read is
in it, what was sent behind it is not, and a value is one that some place has.

An increment that was never answered, and is in the ledger, happened at some moment after it was
first sent. One that is not there never happened.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from typing import NamedTuple

from faults.at_rest import AtRest, Increment
from faults.history import Exchange
from faults.judges.counting import Wish, asked_in, wishes_of


class Event(NamedTuple):
    """Something that happened at one moment from `began` to `ended`."""

    began: float
    ended: float
    what: str


class Read(NamedTuple):
    """A reading of a counter."""

    began: float
    ended: float
    value: int
    total: int


def broken_sequences(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Places that are not 1, 2, 3 and so on, results that are not running sums; or not as told."""
    ledgers = _ledgers(rest)
    for counter in {*ledgers, *rest.counters}:
        entries = ledgers.get(counter, [])
        sums = accumulate(entry.amount for entry in entries)
        for place, (entry, total) in enumerate(zip(entries, sums, strict=True), start=1):
            if (entry.place, entry.result) != (place, total):
                yield (
                    f"{entry.key} of {counter} has place {entry.place} and result {entry.result}, "
                    f"not {place} and {total}"
                )
                break
        says = rest.counters.get(counter)
        is_so = sum(entry.amount for entry in entries), len(entries)
        if says and (says.value, says.entries) != is_so:
            yield f"{counter} says {(says.value, says.entries)}, its ledger comes to {is_so}"
    results = {(each.counter, each.key): each.result for each in rest.increments}
    for exchange in exchanges:
        for key, _, receipt in asked_in(exchange):
            if receipt is None or receipt.get("state") != "applied":
                continue
            result = results.get((exchange.subject, key), receipt["result"])
            if receipt["result"] != result:
                yield f"{key} of {exchange.subject} was told {receipt['result']}, it is {result}"


def unordered_tickets(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Whoever came behind another has a place behind theirs, and reads fit in between."""
    wishes, reads, ledgers = wishes_of(exchanges), _reads(exchanges), _ledgers(rest)
    for counter in rest.counters:
        entries = ledgers.get(counter, [])
        known = [(entry, wishes[counter, entry.key]) for entry in entries if _is_in(wishes, entry)]
        accepted = (Event(wish.began, wish.accepted, entry.key) for entry, wish in known)
        yield from _against_the_clock(counter, accepted)
        if all(entry.amount > 0 for entry in entries):
            yield from _against_the_clock(counter, _with_reads(known, reads[counter]))
        values = {0, *(entry.result for entry in entries)}
        for read in reads[counter]:
            if read.value not in values:
                yield f"{counter}: {read.value}, read at {read.began:.3f} s, it never was"


def impossible_totals(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """No order of the increments explains what was read; of ones, all of what was read."""
    wishes, reads, ledgers = wishes_of(exchanges), _reads(exchanges), _ledgers(rest)
    for counter in rest.counters:
        entries = ledgers.get(counter, [])
        jobs = [wishes[counter, entry.key] for entry in entries if _is_in(wishes, entry)]
        if all(job.amount == 1 for job in jobs):
            yield from _unexplained(counter, jobs, reads[counter])
        else:
            yield from _out_of_bounds(counter, jobs, reads[counter])


def _ledgers(rest: AtRest) -> dict[str, list[Increment]]:
    """The applied increments of each counter in the order of their places."""
    ledgers: dict[str, list[Increment]] = defaultdict(list)
    for each in rest.increments:
        if each.place is not None:
            ledgers[each.counter].append(each)
    return {counter: sorted(each, key=_place) for counter, each in ledgers.items()}


def _place(increment: Increment) -> int:
    return increment.place or 0


def _is_in(wishes: dict[tuple[str, str], Wish], entry: Increment) -> bool:
    return (entry.counter, entry.key) in wishes


def _reads(exchanges: Iterable[Exchange]) -> dict[str, list[Read]]:
    reads: dict[str, list[Read]] = defaultdict(list)
    for each in exchanges:
        if each.what == "read counter" and each.succeeded:
            value, pending = each.answer["value"], each.answer["pending"]["amount"]
            read = Read(each.began, each.known_by, value, value + pending)
            reads[each.subject].append(read)
    return reads


def _with_reads(known: Sequence[tuple[Increment, Wish]], reads: Sequence[Read]) -> Iterator[Event]:
    """Increments in order, each as far as it was known to be applied, and reads behind theirs."""
    placed = [
        (entry.result or 0, 0, Event(wish.began, wish.applied, entry.key)) for entry, wish in known
    ]
    placed += [
        (read.value, 1, Event(read.began, read.ended, f"the value {read.value}")) for read in reads
    ]
    return (event for _, _, event in sorted(placed))


def _against_the_clock(counter: str, events: Iterable[Event]) -> Iterator[str]:
    """The first event that had ended before one began that has a place before it."""
    latest: Event | None = None
    for event in events:
        if latest and event.ended < latest.began:
            yield (
                f"{counter}: {latest.what} began at {latest.began:.3f} s and comes before "
                f"{event.what}, which ended at {event.ended:.3f} s"
            )
            return
        if latest is None or event.began > latest.began:
            latest = event


class Sums:
    """How much it came to by a moment."""

    def __init__(self, amounts: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(amounts)
        self._moments = [moment for moment, _ in ordered]
        self._sums = [0, *accumulate(amount for _, amount in ordered)]

    def before(self, moment: float) -> int:
        return self._sums[bisect_left(self._moments, moment)]

    def until(self, moment: float) -> int:
        return self._sums[bisect_right(self._moments, moment)]


def _out_of_bounds(counter: str, jobs: Sequence[Wish], reads: Sequence[Read]) -> Iterator[str]:
    """Totals without something that was acknowledged, or with something that was not sent yet."""
    up, down = ([job for job in jobs if (job.amount > 0) == is_up] for is_up in (True, False))
    sent_up, sent_down = (Sums((job.began, job.amount) for job in some) for some in (up, down))
    known_up, known_down = (Sums((job.accepted, job.amount) for job in some) for some in (up, down))
    for read in reads:
        least = known_up.before(read.began) + sent_down.until(read.ended)
        most = sent_up.until(read.ended) + known_down.before(read.began)
        if not least <= read.total <= most:
            yield (
                f"{counter}: {read.total}, read at {read.began:.3f} s, is not from {least} to "
                f"{most}"
            )
            return


def _unexplained(counter: str, jobs: Sequence[Wish], reads: Sequence[Read]) -> Iterator[str]:
    """Slot s is before read s, in the order of what was read; the last is behind all reads."""
    ordered = sorted(reads, key=lambda read: (read.total, read.began))
    events = (Event(read.began, read.ended, f"the total {read.total}") for read in ordered)
    backwards = list(_against_the_clock(counter, events))
    if backwards:
        yield from backwards
        return
    arriving: dict[int, list[int]] = defaultdict(list)
    for first, last in _slots(jobs, ordered):
        arriving[first].append(last)
    waiting: list[int] = []
    taken = 0
    for slot, read in enumerate(ordered):
        for last in arriving[slot]:
            heappush(waiting, last)
        for _ in range(read.total - taken):
            if not waiting:
                yield f"{counter}: {read.total}, read at {read.ended:.3f} s, was not sent yet"
                return
            heappop(waiting)
        taken = read.total
        if waiting and waiting[0] <= slot:
            yield f"{counter}: {read.total}, read at {read.began:.3f} s, misses some"
            return


def _slots(jobs: Sequence[Wish], ordered: Sequence[Read]) -> Iterator[tuple[int, int]]:
    """For each increment the first and the last slot that the clock allows."""
    by_end = sorted((read.ended, slot + 1) for slot, read in enumerate(ordered))
    by_begin = sorted((-read.began, slot) for slot, read in enumerate(ordered))
    first = dict[int, int]()
    last = dict[int, int]()
    position, bound = 0, 0
    for number, job in sorted(enumerate(jobs), key=lambda pair: pair[1].began):
        while position < len(by_end) and by_end[position][0] < job.began:
            bound = max(bound, by_end[position][1])
            position += 1
        first[number] = bound
    position, bound = 0, len(ordered)
    for number, job in sorted(enumerate(jobs), key=lambda pair: -pair[1].accepted):
        while position < len(by_begin) and -by_begin[position][0] > job.accepted:
            bound = min(bound, by_begin[position][1])
            position += 1
        last[number] = bound
    return ((first[number], last[number]) for number in range(len(jobs)))
