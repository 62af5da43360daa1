"""The audit: says in words whatever contradicts what epis promises.

Reads only. Each check yields one line per fault, and nothing when all is well.
"""

import time
from collections.abc import Callable, Iterator
from uuid import UUID

from apps.counter import public as counter
from apps.users import public as users
from kit import holdings
from tasks import reconciling

COUNTERS_PER_PAGE = 500
SECONDS_TO_CATCH_UP = 15.0


def unequal_counters(advance: Callable[[int], object]) -> Iterator[str]:
    """Counters whose value is not the sum of their applied increments.

    `advance` is called with the number of counters looked at since the last call.
    """
    after: UUID | None = None
    while True:
        unequal, after = counter.find_unequal_counters(after, limit=COUNTERS_PER_PAGE)
        for found in unequal:
            yield f"counter {found.counter_id}: value {found.value}, ledger {found.ledger}"
        advance(COUNTERS_PER_PAGE)
        if after is None:
            return


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
