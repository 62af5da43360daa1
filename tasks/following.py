"""Following: has every app take in what changed about the users."""

import logging

from django.db import Error as DatabaseError

from kit import holdings
from kit.holdings import Holdings

logger = logging.getLogger(__name__)


def follow_changes() -> bool:
    """Let every app follow the feed by one stretch. True if there may be more to follow.

    One whose database is down holds up no other; the next sweep tries again.
    """
    moved = [_follow(held) for held in holdings.registered()]
    return any(moved)


def _follow(held: Holdings) -> bool:
    try:
        return held.follow()
    except DatabaseError:
        logger.exception("%s could not follow the users; the next sweep tries again", held.app)
        return False
