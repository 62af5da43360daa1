"""A person with rows in every database, to be deleted, lost and found in tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from apps.counter import public as counter
from apps.todos import public as todos
from apps.users.models import User
from kit import holdings

EVERYWHERE = ["default", "todos", "counter"]


@dataclass(frozen=True)
class Citizen:
    """A user with todos, and with a counter that has increments."""

    id: UUID
    counter_id: UUID


def settle(username: str, *, rows: int = 5) -> Citizen:
    """Register a user with `rows` todos, and a counter with `rows` increments."""
    user = User.objects.create(username=username)
    for number in range(rows):
        todos.add_todo(owner_id=user.id, title=f"todo {number}")
    counter_id = counter.open_counter(owner_id=user.id, name="tally")
    for number in range(rows):
        counter.increment(counter_id=counter_id, owner_id=user.id, key=f"key-{number}")
    counter.apply_pending_increments()
    return Citizen(user.id, counter_id)


def rows_left(user_id: UUID) -> dict[str, int]:
    """How many rows each database still holds of this user, without tombstones."""
    found = {held.app: held.count(user_id) for held in holdings.registered()}
    return found | {"users": User.objects.filter(id=user_id).count()}


def follow_feed() -> None:
    for held in holdings.registered():
        while held.follow():
            pass


@contextmanager
def feed_asleep() -> Iterator[None]:
    """Let the users be changed behind the feed's back, as putting back a backup does."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE users_user DISABLE TRIGGER USER")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE users_user ENABLE TRIGGER USER")
