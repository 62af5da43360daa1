"""Lanes: which consumer works which counters.

A counter has a slot, for ever. A lane has every slot that leaves its number when divided by
how many lanes there are. Who works on counters holds the locks of their slots, so a counter
is never worked by two, not even while consumers with different numbers of lanes run side by
side, as in the middle of a restart.
"""

from uuid import UUID

SLOTS = 64  # the most lanes there can be
CONSUMER_LOCK = 0x65706973  # "epis": with a slot, the key of an advisory lock


def slot_of(counter_id: UUID) -> int:
    return counter_id.int % SLOTS  # the last bits of a UUIDv7 are random


def lane_of(counter_id: UUID, lanes: int) -> int:
    return slot_of(counter_id) % lanes


def slots_of(lane: int, lanes: int) -> list[int]:
    """The slots of this lane, of 0 to `lanes` - 1, in ascending order."""
    return list(range(lane, SLOTS, lanes))
