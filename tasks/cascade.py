"""The cascade: carries every deletion that is due through the apps, a chunk at a time.

Each chunk is one short transaction in one app's database. What was reached is read from
that database and copied to the deletion, so it does not matter after which line a process
dies: the next look goes on from there.
"""

import logging
import random
import time
from collections import deque
from uuid import UUID

from apps.users import public as users
from kit import holdings
from kit.holdings import Holdings

logger = logging.getLogger(__name__)

TURN_SECONDS = 0.5  # how long one deletion is worked on before the others have their turn
LOOK_SECONDS = 2.0  # how long one look keeps a worker before it asks for another


def advance_deletions() -> bool:
    """Give every due deletion its turns until the time is up. True if there is more to do.

    One that fails is logged and looked at again by the next sweep; it holds up no other.
    """
    deadline = time.monotonic() + LOOK_SECONDS
    due = users.list_due_deletions()
    # In any order: with the oldest always first, a few huge ones would keep the others waiting.
    unfinished = deque(random.sample(due, len(due)))
    while unfinished and time.monotonic() < deadline:
        deletion_id = unfinished.popleft()
        if _take_turn(deletion_id):
            unfinished.append(deletion_id)
    return bool(unfinished)


def _take_turn(deletion_id: UUID) -> bool:
    try:
        return advance_deletion(deletion_id)
    except Exception:
        logger.exception("deletion %s could not go on; the next sweep tries again", deletion_id)
        return False


def advance_deletion(deletion_id: UUID) -> bool:
    """Work on one deletion for a turn. True if it should have another."""
    if not users.begin_deletion(deletion_id=deletion_id):
        return False
    user_id = users.subject_of(deletion_id)
    for held in holdings.registered():
        if not _purge(held, user_id, deletion_id):
            return users.is_running(deletion_id)
    if any(held.count(user_id) for held in holdings.registered()):
        return True
    users.finish_deletion(deletion_id=deletion_id)
    return False


def _purge(held: Holdings, user_id: UUID, deletion_id: UUID) -> bool:
    """Take one app's step as far as a turn allows. True when nothing is left there."""
    total = held.entomb(user_id)
    deadline = time.monotonic() + TURN_SECONDS  # behind the count, however long it took
    finished = False
    while not finished:
        purge = held.purge_chunk(user_id)
        finished = purge.finished
        users.record_step(
            deletion_id=deletion_id,
            app=held.app,
            deleted=purge.deleted,
            total=total,
            done=finished,
        )
        if not finished and (time.monotonic() > deadline or not users.is_running(deletion_id)):
            return False
    return True
