"""Following: has every app take in what changed about the users.

An app that has come further than the feed goes has followed another one: the users were put back
to a backup. Until their databases have been reconciled, whatever the users say may be old news.
"""

import logging

from django.db import Error as DatabaseError

from apps.users import public as users
from kit import holdings
from kit.holdings import Holdings
from tasks.doorbells import ring

logger = logging.getLogger(__name__)


def follow_changes() -> bool:
    """Let every app follow the feed by one stretch. True if there may be more to follow.

    One whose database is down holds up no other; the next sweep tries again.
    """
    heed_a_restore()
    moved = [_follow(held) for held in holdings.registered()]
    return any(moved)


def heed_a_restore() -> None:
    """Where the users were put back, hold back what may be wrong, and have all reconciled.

    To be called before an app follows, which is when it forgets how far it had come, and before
    a deletion is begun: it may have been cancelled since the backup was made.
    """
    if users_were_put_back():
        held_back = users.postpone_deletions()
        logger.warning("the users were put back: %d deletion(s) wait anew", held_back)
        ring("users.reconcile")


def users_were_put_back() -> bool:
    """Whether an app has come further than the feed goes."""
    return any(_is_beyond_the_feed(held) for held in holdings.registered())


def _is_beyond_the_feed(held: Holdings) -> bool:
    try:
        position = held.position()  # before the head, which only grows
    except DatabaseError:
        return False  # the others tell
    return position > users.feed_head()


def _follow(held: Holdings) -> bool:
    try:
        return held.follow()
    except DatabaseError:
        logger.exception("%s could not follow the users; the next sweep tries again", held.app)
        return False
