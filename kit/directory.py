"""What an app may ask the users about, and the shape of the answers.

`apps.users.public` is the real directory. The kit only states what it relies on, so
that the kit stays below the apps.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Person:
    """A user as they are now. `closing`: their deletion has begun and cannot be undone."""

    id: UUID
    username: str
    closing: bool


@dataclass(frozen=True)
class Change:
    """Position `position` of the feed: something about this user changed. Ask what."""

    position: int
    user_id: UUID


@dataclass(frozen=True)
class Viewer:
    """Who asks: a signed-in user's id, and whether they may see and do everything."""

    user_id: UUID
    is_staff: bool = False


@dataclass(frozen=True)
class Bearer:
    """Who asks, as the bearer of a token that nobody has looked up yet."""

    token: str = field(repr=False)


class Directory(Protocol):
    def find_people(self, user_ids: Collection[UUID]) -> dict[UUID, Person]:
        """The people among `user_ids` who exist, by id."""

    def changes_after(self, position: int, *, limit: int) -> Sequence[Change]:
        """The first `limit` changes after `position`, in order of commit."""

    def feed_head(self) -> int:
        """The position of the latest change; 0 when there is none."""
