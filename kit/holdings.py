"""What an app keeps for users whose rows live in another database.

An app subclasses `Holdings`, names its tables, and registers one instance in its
`AppConfig.ready`. It then has

- the *fence*: `admitted` refuses to create anything for an owner with a tombstone, so
  a row is either there before the tombstone (and is deleted with the rest) or refused;
- the *feed*: `follow` keeps the owners' names current, at least once, with the cursor
  moved in the same transaction, which makes the effect exactly-once;
- the *purge*: `entomb`, then `purge_chunk` until nothing is left. Killed anywhere, the
  next call goes on from there. A chunk touches nobody who has no tombstone.

No method opens a transaction in two databases, nor asks the directory inside one.
"""

import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from time import monotonic
from typing import ClassVar, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connections, models
from django.utils import timezone

from kit.directory import Directory
from kit.errors import Conflict, TooMany
from kit.models import FeedCursor, Owner
from kit.purging import (
    BY_INDEX,
    BY_PAGE,
    BY_SMALLEST_INDEX,
    DURABLE,
    FIRST,
    LAST,
    UNHURRIED,
    Place,
    Table,
    count_rows,
)
from kit.transactions import durable

FOLLOW_LIMIT = 500
NOTICED_WITHIN = 1_000
CHUNK_ROWS = 500
MANY_ROWS = (
    1_000  # of an owner; from there on it costs less to have them counted by a statement each
)


class NotEntombed(RuntimeError):
    """A purge was to touch somebody who has no tombstone."""


class OwnerIsGone(Conflict):
    """This account is deleted or being deleted; nothing can be created for it."""

    code = "owner_is_gone"


class Position(NamedTuple):
    """How far a purge of one owner has come: in which of the tables, and where in it.

    It holds in the session in which it was reached. A crash of the server takes chunks back that
    did not wait for the disk, and no session outlives one.
    """

    table: int
    place: Place
    session: object = None


START = Position(0, FIRST)


@dataclass
class Chunk:
    """What a chunk came to. `deleted`: of each owner, in all since their purge began."""

    deleted: dict[UUID, int] = field(default_factory=dict)
    rows: int = 0  # deleted by this chunk
    seconds: float = 0.0  # that this took, without the waiting for locks
    finished: bool = False  # nothing is left of any of them
    end: Position = START  # where the next chunk of the same owner can go on


class Holdings:
    """One app's rows that belong to users."""

    app: ClassVar[str]
    alias: ClassVar[str]
    owners: ClassVar[type[Owner]]
    cursors: ClassVar[type[FeedCursor]]
    # Each table with rows of an owner and the field path to that owner, in an order in which
    # rows can be deleted: what points to other rows comes first.
    rows: ClassVar[list[tuple[type[models.Model], str]]]
    # For tables with rows that others belong to: what deletes these, as `Table` has it.
    attached: ClassVar[Mapping[type[models.Model], str]] = {}
    # Of which model an owner may have no more than a setting says, and that setting's name.
    limited: ClassVar[tuple[type[models.Model], str] | None] = None
    directory: Directory

    @cached_property
    def tables(self) -> list[Table]:
        return [
            Table(model, path, self.alias, attached=self.attached.get(model, ""))
            for model, path in self.rows
        ]

    # --- the fence --------------------------------------------------------------------

    @contextmanager
    def admitted(self, owner_id: UUID, *, rows: int = 1) -> Iterator[None]:
        """A durable transaction in which `rows` rows for `owner_id` may be created.

        A lock on the owner's row holds off the tombstone until the block commits. It is the
        weakest that does: others may be admitted meanwhile, and the owner renamed.
        Raises OwnerIsGone for a tombstone, and for an id the directory does not know, and
        TooMany for who has as many rows as is allowed.
        """
        if not self.owners._default_manager.filter(id=owner_id).exists():
            self._introduce(owner_id)
        with durable(self.alias):
            with connections[self.alias].cursor() as cursor:
                table = self.owners._meta.db_table
                cursor.execute(
                    f"SELECT tombstoned_at IS NULL FROM {table} WHERE id = %s FOR KEY SHARE",  # nosec B608
                    [owner_id],
                )
                row = cursor.fetchone()
            if row != (True,):
                raise OwnerIsGone
            self.refuse_too_many(owner_id, rows)
            yield

    def refuse_too_many(self, owner_id: UUID, rows: int = 1) -> None:
        """Raises TooMany for an owner who may not have so many rows more.

        Counting what there is takes long where there is much, so it is done now and then.

        So often that about a thousandth more than allowed may be created before it is noticed,
        and by those who create at the same moment a few more.
        """
        if self.limited is None:
            return
        model, setting = self.limited
        most: int = getattr(settings, setting)
        if random.random() * (most // NOTICED_WITHIN) > rows:  # noqa: S311 - no secret  # nosec B311
            return
        theirs = model._default_manager.filter(owner=owner_id)[: most + 1]
        if theirs.count() + rows > most:
            raise TooMany

    def _introduce(self, owner_id: UUID) -> None:
        """Fetch an owner not yet known. Whatever row is already there knows better."""
        person = self.directory.find_people([owner_id]).get(owner_id)
        if person is not None and not person.closing:
            newcomer = self.owners(id=owner_id, username=person.username)
            self.owners._default_manager.bulk_create([newcomer], ignore_conflicts=True)

    # --- the feed ---------------------------------------------------------------------

    def position(self) -> int:
        """How far this app has followed the feed."""
        cursor = self.cursors._default_manager.filter(id=1).first()
        return cursor.position if cursor else 0

    def follow(self) -> bool:
        """Take in the next changes of the feed. True if there may be more to take in now.

        A cursor beyond the head means that the users were restored from an older backup:
        the feed is then followed from its beginning, which is harmless.
        """
        start = self.position()
        changes = self.directory.changes_after(start, limit=FOLLOW_LIMIT)
        if changes:
            end = changes[-1].position
        elif self.directory.feed_head() < start:
            end = 0
        else:
            return False
        self.rename({change.user_id for change in changes}, start=start, end=end)
        return True

    def rename(self, user_ids: set[UUID], *, start: int, end: int) -> None:
        """Write the current names of these users, if the cursor still stands at `start`.

        The names are read before the transaction, so they may be old news by the time
        they are written. Then a later change is in the feed behind `start`; either the
        cursor has moved past it, and nothing is written here, or it is still to come.
        """
        people = self.directory.find_people(user_ids).values()
        with durable(self.alias):
            self.cursors._default_manager.bulk_create([self.cursors()], ignore_conflicts=True)
            stands = self.cursors._default_manager.filter(id=1, position=start)
            if not stands.update(position=end):
                return
            with connections[self.alias].cursor() as cursor:
                table = self.owners._meta.db_table
                cursor.execute(
                    f"""
                    INSERT INTO {table} AS owner (id, username, purged_rows)
                    SELECT id, username, 0 FROM unnest(%s::uuid[], %s::text[]) AS n (id, username)
                    ORDER BY id -- as everybody who locks several
                    ON CONFLICT (id) DO UPDATE SET username = EXCLUDED.username
                    WHERE owner.tombstoned_at IS NULL AND owner.username <> EXCLUDED.username
                    """,  # nosec B608
                    [[p.id for p in people], [p.username for p in people]],
                )

    # --- the purge --------------------------------------------------------------------

    def entomb(self, *owner_ids: UUID) -> dict[UUID, int]:
        """Refuse these owners anything new, for ever. How many rows each has lost so far.

        The exclusive lock waits for every creation under way, so what is counted behind the
        tombstone is all there will ever be.
        """
        with durable(self.alias):
            newcomers = [self.owners(id=owner_id) for owner_id in sorted(owner_ids)]
            self.owners._default_manager.bulk_create(newcomers, ignore_conflicts=True)
            owners = list(self._locked(owner_ids))
            alive = [owner.id for owner in owners if owner.tombstoned_at is None]
            if alive:
                doomed = self.owners._default_manager.filter(id__in=alive)
                doomed.update(tombstoned_at=timezone.now(), username="")
        return {owner.id: owner.purged_rows for owner in owners}

    def purge_chunk(
        self, *owner_ids: UUID, rows: int = CHUNK_ROWS, start: Position = START
    ) -> Chunk:
        """Delete rows of one table, of entombed owners, and count them, in one transaction.

        Of a single owner up to `rows`, from `start` on; of several all they have in that table.
        One table only, for whoever locks rows of two waits for others in the order of the
        tables or not at all. Raises NotEntombed.
        """
        with durable(self.alias):
            owners = {owner.id: owner for owner in self._locked(owner_ids)}
            for owner_id in owner_ids:
                if owner_id not in owners or owners[owner_id].tombstoned_at is None:
                    raise NotEntombed(f"{self.app}: purging {owner_id} without a tombstone")
            began = monotonic()
            session = connections[self.alias].connection
            if start.session is not session:
                start = START
            with connections[self.alias].cursor() as cursor:
                cursor.execute(BY_INDEX)
                cursor.execute(UNHURRIED)
                deleted, end = self._delete(owner_ids, rows, start)
                finished = end.table == len(self.tables)
                if finished:
                    cursor.execute(DURABLE)
            if deleted or finished:
                self._count_deleted(owner_ids, deleted, finished)
        return Chunk(
            deleted={each: owners[each].purged_rows + deleted.get(each, 0) for each in owner_ids},
            rows=sum(deleted.values()),
            seconds=monotonic() - began,
            finished=finished,
            end=end._replace(session=session),
        )

    def _count_deleted(
        self, owner_ids: Collection[UUID], deleted: dict[UUID, int], finished: bool
    ) -> None:
        with connections[self.alias].cursor() as cursor:
            cursor.execute(
                f"""
                UPDATE {self.owners._meta.db_table} AS owner
                SET purged_rows = owner.purged_rows + gone.rows,
                    purged_at = CASE WHEN %s THEN coalesce(owner.purged_at, now())
                                     ELSE owner.purged_at END
                FROM unnest(%s::uuid[], %s::bigint[]) AS gone (id, rows)
                WHERE owner.id = gone.id
                """,  # nosec B608
                [finished, list(owner_ids), [deleted.get(each, 0) for each in owner_ids]],
            )

    def _delete(
        self, owner_ids: Collection[UUID], rows: int, start: Position
    ) -> tuple[dict[UUID, int], Position]:
        """From the first table on in which there is anything; how many, by owner, and the end."""
        number, place = start.table, start.place
        while number < len(self.tables):
            table, end = self.tables[number], LAST
            if len(owner_ids) == 1:
                (owner_id,) = owner_ids
                gone, end = table.delete_some(owner_id, after=place, rows=rows)
                deleted = {owner_id: gone}
            elif rows > MANY_ROWS * len(owner_ids):
                deleted = {owner_id: table.delete_some(owner_id)[0] for owner_id in owner_ids}
            else:
                deleted = table.delete_all(owner_ids)
            number, place = (number + 1, FIRST) if end == LAST else (number, end)
            if any(deleted.values()):
                return deleted, Position(number, place)
        return {}, Position(number, FIRST)

    def entombed(self, owner_ids: Collection[UUID]) -> dict[UUID, int]:
        """Those of the owners who have a tombstone here, and how many rows each has lost."""
        owners = self.owners._default_manager.filter(id__in=owner_ids)
        return dict(owners.exclude(tombstoned_at=None).values_list("id", "purged_rows"))

    def is_purged(self, owner_id: UUID, *, since: datetime | None = None) -> bool:
        """Whether everything of this owner was deleted here, for good."""
        purged = self.owners._default_manager.filter(id=owner_id, purged_at__isnull=False)
        return (purged.filter(purged_at__gt=since) if since else purged).exists()

    def rows_of(self, owner_ids: Collection[UUID]) -> dict[UUID, int]:
        """How many rows this app holds for each of the owners."""
        return self._count(owner_ids, "by index", BY_SMALLEST_INDEX)

    def rows_left(self, owner_ids: Collection[UUID]) -> dict[UUID, int]:
        """The same, where most of them were deleted a moment ago."""
        return self._count(owner_ids, "by page", BY_SMALLEST_INDEX, BY_PAGE)

    def count(self, owner_id: UUID) -> int:
        """How many rows this app holds for the owner."""
        return count_rows(self.tables, self.alias, [owner_id])[owner_id]

    def _count(self, owner_ids: Collection[UUID], plan: str, *settings: str) -> dict[UUID, int]:
        with durable(self.alias):
            with connections[self.alias].cursor() as cursor:
                for setting in settings:
                    cursor.execute(setting)
            return count_rows(self.tables, self.alias, owner_ids, plan=plan)

    def is_reachable(self) -> bool:
        """Whether this app's database answers. A connection that broke is replaced."""
        connection = connections[self.alias]
        connection.close_if_unusable_or_obsolete()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseError:
            return False
        return True

    def _locked(self, owner_ids: Collection[UUID]) -> models.QuerySet[Owner]:
        # FOR UPDATE, no weaker: it is what the key-share locks of `admitted` hold off. In the
        # order of their ids, so that two who lock several wait for each other and not in a circle.
        owners = self.owners._default_manager.filter(id__in=owner_ids)
        return owners.select_for_update().order_by("id")


# --- who keeps anything -------------------------------------------------------------------

_registered: dict[str, Holdings] = {}


def register(holdings: Holdings) -> None:
    """Make an app's holdings part of the feed, of every deletion and of every audit."""
    _registered[holdings.app] = holdings


def registered() -> list[Holdings]:
    """Every app's holdings, in order of registration."""
    return list(_registered.values())
