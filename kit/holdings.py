"""What an app keeps for users whose rows live in another database.

An app subclasses `Holdings`, names its tables, and registers one instance in its
`AppConfig.ready`. It then has

- the *fence*: `admitted` refuses to create anything for an owner with a tombstone, so
  a row is either there before the tombstone (and is deleted with the rest) or refused;
- the *feed*: `follow` keeps the owners' names current, at least once, with the cursor
  moved in the same transaction, which makes the effect exactly-once;
- the *purge*: `entomb`, then `purge_chunk` until nothing is left. Killed anywhere, the
  next call goes on from there.

No method opens a transaction in two databases, nor asks the directory inside one.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, ClassVar
from uuid import UUID

from django.db import connections, models
from django.utils import timezone

from kit.directory import Directory
from kit.errors import Conflict
from kit.models import FeedCursor, Owner
from kit.transactions import durable

FOLLOW_LIMIT = 500
CHUNK_ROWS = 500


class OwnerIsGone(Conflict):
    """This account is deleted or being deleted; nothing can be created for it."""

    code = "owner_is_gone"


@dataclass(frozen=True)
class Purge:
    """How far one owner's purge has come: rows deleted in all, and whether any are left."""

    deleted: int
    finished: bool


class Holdings:
    """One app's rows that belong to users."""

    app: ClassVar[str]
    alias: ClassVar[str]
    owners: ClassVar[type[Owner]]
    cursors: ClassVar[type[FeedCursor]]
    # Each table with rows of an owner and the field path to that owner, in an order in which
    # rows can be deleted: what points to other rows comes first.
    rows: ClassVar[list[tuple[type[models.Model], str]]]
    directory: Directory

    def rows_of(self, owner_id: UUID) -> list[models.QuerySet[Any]]:
        """Everything this app keeps for the owner, in an order in which it can be deleted."""
        return [rows._default_manager.filter(**{path: owner_id}) for rows, path in self.rows]

    # --- the fence --------------------------------------------------------------------

    @contextmanager
    def admitted(self, owner_id: UUID) -> Iterator[None]:
        """A durable transaction in which rows for `owner_id` may be created.

        A lock on the owner's row holds off the tombstone until the block commits. It is the
        weakest that does: others may be admitted meanwhile, and the owner renamed.
        Raises OwnerIsGone for a tombstone, and for an id the directory does not know.
        """
        if not self.owners._default_manager.filter(id=owner_id).exists():
            self._introduce(owner_id)
        with durable(self.alias):
            with connections[self.alias].cursor() as cursor:
                table = self.owners._meta.db_table
                cursor.execute(
                    f"SELECT tombstoned_at IS NULL FROM {table} WHERE id = %s FOR KEY SHARE",
                    [owner_id],
                )
                row = cursor.fetchone()
            if row != (True,):
                raise OwnerIsGone
            yield

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
                    ON CONFLICT (id) DO UPDATE SET username = EXCLUDED.username
                    WHERE owner.tombstoned_at IS NULL AND owner.username <> EXCLUDED.username
                    """,
                    [[p.id for p in people], [p.username for p in people]],
                )

    # --- the purge --------------------------------------------------------------------

    def entomb(self, owner_id: UUID) -> int:
        """Refuse this owner anything new, for ever. Returns how many rows they will have lost.

        The exclusive lock waits for every creation under way. The count is taken behind
        the tombstone, so it is exact.
        """
        with durable(self.alias):
            owner = self._locked(owner_id)
            if owner.tombstoned_at is None:
                owner.tombstoned_at = timezone.now()
                owner.username = ""
                owner.save()
        return owner.purged_rows + self.count(owner_id)

    def purge_chunk(self, owner_id: UUID, *, rows: int = CHUNK_ROWS) -> Purge:
        """Delete up to `rows` rows of an entombed owner, and count them, in one transaction."""
        with durable(self.alias):
            owner = self._locked(owner_id)
            if owner.tombstoned_at is None:
                raise RuntimeError(f"{self.app}: purging {owner_id} without a tombstone")
            deleted = self._delete_some(owner_id, rows)
            owner.purged_rows += deleted
            if deleted == 0 and owner.purged_at is None:
                owner.purged_at = timezone.now()
            owner.save()
        return Purge(deleted=owner.purged_rows, finished=deleted == 0)

    def is_purged(self, owner_id: UUID) -> bool:
        """Whether everything of this owner was deleted here, for good."""
        purged = self.owners._default_manager.filter(id=owner_id, purged_at__isnull=False)
        return purged.exists()

    def owners_with_rows(self, owner_ids: Collection[UUID]) -> set[UUID]:
        """Those of the owners for whom this app holds anything."""
        held = [
            models.Exists(rows._default_manager.filter(**{path: models.OuterRef("id")}))
            for rows, path in self.rows
        ]
        owners = self.owners._default_manager.filter(id__in=owner_ids)
        return set(owners.filter(reduce(or_, held)).values_list("id", flat=True))

    def count(self, owner_id: UUID) -> int:
        """How many rows this app holds for the owner, seen at once: some may be changing tables."""
        each, *others = [rows.values_list(models.Value(1)) for rows in self.rows_of(owner_id)]
        return each.union(*others, all=True).count()

    def _locked(self, owner_id: UUID) -> Owner:
        # FOR UPDATE, no weaker: it is what the key-share locks of `admitted` hold off.
        self.owners._default_manager.bulk_create([self.owners(id=owner_id)], ignore_conflicts=True)
        return self.owners._default_manager.select_for_update().get(id=owner_id)

    def _delete_some(self, owner_id: UUID, limit: int) -> int:
        for rows in self.rows_of(owner_id):
            some = rows.model._default_manager.filter(pk__in=rows.values("pk")[:limit])
            deleted: int = some.delete()[0]
            if deleted:
                return deleted
        return 0


# --- who keeps anything -------------------------------------------------------------------

_registered: dict[str, Holdings] = {}


def register(holdings: Holdings) -> None:
    """Make an app's holdings part of the feed, of every deletion and of every audit."""
    _registered[holdings.app] = holdings


def registered() -> list[Holdings]:
    """Every app's holdings, in order of registration."""
    return list(_registered.values())
