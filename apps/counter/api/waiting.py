"""Waiting for an increment to be settled, for clients that prefer to."""

import threading
import time

from django.conf import settings

from apps.counter.accepting import Receipt
from apps.counter.models import Increment
from apps.counter.queries import find_increment

FIRST_PAUSE = 0.01  # seconds
LONGEST_PAUSE = 0.2

# Who waits keeps a thread of the web server. Half of them are left for everyone else.
_places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 2))


def wait_until_settled(receipt: Receipt, seconds: float) -> Increment | Receipt | None:
    """The increment once it is settled. None if it is not in time, or too many wait already."""
    if receipt.state != Increment.State.PENDING:
        return receipt
    if not _places.acquire(blocking=False):
        return None
    try:
        deadline = time.monotonic() + seconds
        pause = FIRST_PAUSE
        while True:
            found = find_increment(receipt.counter_id, receipt.id)
            if found is None or found.state != Increment.State.PENDING:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
    finally:
        _places.release()
