"""What the todos app keeps for users, and the order in which it changes.

Every change of a todo has a *position* among those of its owner's. It is taken from the owner's
row, which stays locked until the change is committed or has failed. So positions become visible
in their order, and who follows them never misses one; the owners do not wait for each other.

The same lock is the fence, for it holds off the tombstone, and whoever holds it is alone in
writing this owner's todos. It comes before any lock on a todo, as in a purge.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from apps.todos.errors import KeyInFlight
from apps.todos.models import Change, FeedCursor, Owner, Todo
from apps.users import public as users
from kit.holdings import Holdings, OwnerIsGone
from kit.transactions import durable, in_one_statement

TAKE_POSITIONS = """
UPDATE todos_owner SET position = position + %(changes)s
WHERE id = %(owner_id)s AND tombstoned_at IS NULL
RETURNING username, position
"""


class Turn(NamedTuple):
    """An owner whose todos may be changed now, and the positions for it."""

    owner: Owner
    positions: Iterator[int]


class TodosHoldings(Holdings):
    app = "todos"
    alias = "todos"
    owners = Owner
    cursors = FeedCursor
    rows = [(Change, "owner"), (Todo, "owner")]
    limited = (Todo, "TODOS_PER_ACCOUNT")
    directory = users

    @contextmanager
    def changing(
        self, changes: Mapping[UUID, int], *, key: str | None = None
    ) -> Iterator[dict[UUID, Turn]]:
        """A durable transaction for so many changes of these owners' todos; gives each a turn.

        With `key`, for one owner: unless another transaction is at work on the same. Raises
        KeyInFlight for that, and OwnerIsGone for a tombstone or an id the directory does not know.
        """
        for _ in range(2):
            with durable(self.alias):
                if key is not None:
                    for owner_id in changes:
                        self._claim(owner_id, key)
                turns = self._take_turns(changes)
                if turns.keys() == changes.keys():
                    yield turns
                    return
            for owner_id in changes.keys() - turns.keys():
                self._introduce(owner_id)  # may be its first todo
        raise OwnerIsGone

    def change_in_one_statement(
        self, owner_id: UUID, statement: str, values: Mapping[str, Any]
    ) -> Any:
        """The same for a change that is one statement with TAKE_POSITIONS in it; gives its row.

        It has to do nothing, and give nothing, where there is no turn. Raises OwnerIsGone.
        """
        for _ in range(2):
            if (row := in_one_statement(self.alias, statement, values)) is not None:
                return row
            self._introduce(owner_id)
        raise OwnerIsGone

    def _claim(self, owner_id: UUID, key: str) -> None:
        # Not the row of whoever has the key: in flight, there is none that others could see.
        digest = blake2b(owner_id.bytes + key.encode(), digest_size=8).digest()
        with connections[self.alias].cursor() as cursor:
            lock = int.from_bytes(digest, signed=True)
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s::bigint)", [lock])
            if cursor.fetchone() != (True,):
                raise KeyInFlight

    def _take_turns(self, changes: Mapping[UUID, int]) -> dict[UUID, Turn]:
        turns = {}
        with connections[self.alias].cursor() as cursor:
            for owner_id in sorted(changes):  # as everybody who locks several
                told: dict[str, Any] = {"owner_id": owner_id, "changes": changes[owner_id]}
                cursor.execute(TAKE_POSITIONS, told)
                for username, last in cursor.fetchall():
                    owner = Owner(id=owner_id, username=username, position=last)
                    turns[owner_id] = Turn(owner, count(last - changes[owner_id] + 1))
        return turns


TODOS = TodosHoldings()
