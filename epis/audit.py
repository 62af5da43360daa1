"""The audit: says in words whatever contradicts what epis promises.

Reads only. Each check yields one line per fault, and nothing when all is well.
"""

import time
from collections.abc import Iterator

from apps.counter import public as counter
from apps.todos import public as todos
from apps.users import public as users
from kit import holdings
from tasks import reconciling

SECONDS_TO_CATCH_UP = 15.0


def faults_of(found: counter.Comparison) -> list[str]:
    """Whatever a counter and its ledger do not agree on, and where the ledger itself breaks."""
    differences = [
        f"{field} {getattr(found.counter, field)}, ledger {getattr(found.ledger, field)}"
        for field in found.ledger._fields
        if getattr(found.counter, field) != getattr(found.ledger, field)
    ]
    breaks = [
        f"the ledger breaks at place {place}: {what}"
        for place, what in [
            (found.misplaced_at, "a place before it is missing, or it is taken twice"),
            (found.miscounted_at, "its result does not follow from those before it"),
            (found.mistimed_at, "it is timed before the one before it"),
        ]
        if place is not None
    ]
    return [f"counter {found.counter_id}: {fault}" for fault in differences + breaks]


def repair_of(found: counter.Comparison) -> str:
    """What a repair would set."""
    changes = [
        f"{field} from {before} to {after}"
        for field, before, after in zip(
            found.ledger._fields, found.counter, found.ledger, strict=True
        )
        if before != after
    ]
    return f"counter {found.counter_id}: set {', '.join(changes)}"


def misplaced_increments() -> Iterator[str]:
    """Increments without a counter, without their key, or set aside; and keys without any."""
    for stray in counter.find_strays():
        what = "settled" if stray.settled else "pending"
        yield f"counter {stray.counter_id}: missing, but has {stray.increments} {what} increment(s)"
    unheld = 0
    for each in counter.find_unheld():
        unheld += 1
        yield f"counter {each.counter_id}: key {each.key} is not held for its increment"
    left_over = counter.count_keys_left_over() + unheld
    if left_over > 0:
        yield f"counter: {left_over} key(s) are held for no increment"
    if left_over < 0:
        yield f"counter: {-left_over} increment(s) are settled and pending at once"
    for aside in counter.find_set_aside():
        reason = next(iter(aside.reason.splitlines()), "no reason given")
        yield (
            f"counter {aside.counter_id}: {aside.amount:+d} under key {aside.key} "
            f"could not be settled and is set aside: {reason}"
        )


def stray_changes() -> Iterator[str]:
    """Changes of todos that are not there."""
    for todo_id in todos.find_stray_changes():
        yield f"todos: changes of a todo that is not there: {todo_id}"


def orphans_and_differences() -> Iterator[str]:
    """Rows without their user, and whatever else an app and the users do not agree on."""
    for held in holdings.registered():
        for finding in reconciling.find_differences(held):
            yield f"{finding.app}: {finding.what}: {finding.user_id}"


def cursors_behind() -> Iterator[str]:
    """Apps that do not reach, in a reasonable time, where the feed stands now."""
    head = users.feed_head()
    deadline = time.monotonic() + SECONDS_TO_CATCH_UP
    for held in holdings.registered():
        while held.position() < head and time.monotonic() < deadline:
            time.sleep(0.1)
        position = held.position()
        if position != head and not head < position <= users.feed_head():
            yield f"{held.app}: the cursor stands at {position}, the feed at {head}"
