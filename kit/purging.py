"""The statements of a purge: delete and count the rows that owners have in one table.

A row belongs to an owner directly, or through a row that does (an entry, through its counter):
its *parent* is what its foreign key points to. Rows are deleted in the order of parent and id,
and whoever goes on from where the chunk before ended does not walk over what that has deleted:
dead entries stay in an index as long as any transaction might still see their rows, and a purge
that began from the front each time would slow down with the square of what there is.

So a table needs an index that begins with its foreign key and `id`, and its ids are UUIDs.

What belongs to a row and not to any owner goes with the row, in the same statement: see `Table`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections, models

LOWEST, HIGHEST = UUID(int=0), UUID(int=2**128 - 1)

# Statistics are old by the time they are trusted: of a table that has just grown, or shrunk, they
# may say that reading all of it is quickest. It never is, for a chunk. Nor is the index of ids
# because it leads through the table in order: between the rows of one owner are those of others.
BY_INDEX = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('seq_page_cost', '0', true),
       set_config('random_page_cost', '0', true)
"""
# For counting, the smallest index that begins with the owner: where most rows agree in what comes
# next, each takes six bytes of it. Pages must cost a little to tell which that is.
BY_SMALLEST_INDEX = BY_INDEX.replace("'random_page_cost', '0'", "'random_page_cost', '0.01'")
# For a look at rows most of which have just been deleted: page by page, and not once for each
# dead entry of an index, which takes eight times as long.
BY_PAGE = """
SELECT set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true)
"""

# A chunk need not wait for the disk: one that a crash of the server takes back is as if it had not
# been, with its count. The last one does wait, and with it all that were committed before.
UNHURRIED = "SET LOCAL synchronous_commit = off"
DURABLE = "SET LOCAL synchronous_commit TO DEFAULT"


class Place(NamedTuple):
    """A row's place in the order in which its table is purged."""

    parent: UUID
    id: UUID


FIRST, LAST = Place(LOWEST, LOWEST), Place(HIGHEST, HIGHEST)


@dataclass(frozen=True)
class Statements:
    """The SQL for one table."""

    count: str  # of the rows of `subject.id`
    delete_all: str
    owner: str  # of a row that it deletes
    find_end: str  # of the next so many rows of one owner
    delete_range: str


def _of_owners(table: str, owner: str) -> Statements:
    """For a table whose rows point to their owner, in the column `owner`."""
    return Statements(
        count=f"SELECT count(*) FROM {table} WHERE {owner} = subject.id",  # nosec B608
        delete_all=f"DELETE FROM {table} AS held WHERE {owner} = ANY(%(owners)s::uuid[])",  # nosec B608
        owner=f"held.{owner}",
        find_end=f"""
            SELECT {owner}, id FROM {table} WHERE {owner} = %(owner)s AND id > %(after)s
            ORDER BY id OFFSET %(rows)s - 1 LIMIT 1
        """,  # nosec B608
        delete_range=f"""
            DELETE FROM {table} AS held
            WHERE {owner} = %(owner)s AND id > %(after)s AND id <= %(last)s
        """,  # nosec B608
    )


def _of_parents(table: str, parent: str, parents: str, owner: str) -> Statements:
    """For one whose rows point to a row of `parents`, which points to the owner."""
    theirs = (
        f"SELECT id, {owner} AS owner_id FROM {parents} WHERE {owner} = ANY(%(owners)s::uuid[])"  # nosec B608
    )
    return Statements(
        count=f"""
            SELECT count(*) FROM {parents} AS parent
            JOIN {table} AS held ON held.{parent} = parent.id
            WHERE parent.{owner} = subject.id
        """,  # nosec B608
        delete_all=f"""
            DELETE FROM {table} AS held USING ({theirs}) AS parent
            WHERE held.{parent} = parent.id
        """,  # nosec B608
        owner="parent.owner_id",
        find_end=f"""
            SELECT parent.id, held.id
            FROM (SELECT id FROM {parents} WHERE {owner} = %(owner)s AND id >= %(parent)s
                  ORDER BY id) AS parent
            CROSS JOIN LATERAL (
                SELECT id FROM {table}
                WHERE {parent} = parent.id
                  AND id > CASE WHEN parent.id = %(parent)s THEN %(after)s ELSE %(lowest)s END
                ORDER BY id
                LIMIT %(rows)s
            ) AS held
            OFFSET %(rows)s - 1 LIMIT 1
        """,  # nosec B608
        delete_range=f"""
            DELETE FROM {table} AS held USING {parents} AS parent
            WHERE parent.{owner} = %(owner)s AND held.{parent} = parent.id
              AND parent.id BETWEEN %(parent)s AND %(last_parent)s
              AND held.id > CASE WHEN parent.id = %(parent)s THEN %(after)s ELSE %(lowest)s END
              AND held.id <= CASE WHEN parent.id = %(last_parent)s
                                  THEN %(last)s ELSE %(highest)s END
        """,  # nosec B608
    )


class Table:
    """One of an app's tables with rows of owners, found by the field path to the owner.

    `attached` is a DELETE of what belongs to these rows, which it finds in `gone`. It is not
    counted.
    """

    def __init__(
        self, model: type[models.Model], path: str, alias: str, *, attached: str = ""
    ) -> None:
        self._alias = alias
        self._attached = attached
        table = model._meta.db_table
        link, *further = _links(model, path)
        if further:
            (owner,) = further
            parents = link.related_model._meta.db_table
            self.statements = _of_parents(table, link.column, parents, owner.column)
        else:
            self.statements = _of_owners(table, link.column)

    def delete_all(self, owner_ids: Collection[UUID]) -> dict[UUID, int]:
        """Delete everything of these owners. How many rows that were, by owner.

        In one statement, which is quick for many who have little.
        """
        owner = f"{self.statements.owner} AS owner_id"
        gone = self._gone(self.statements.delete_all, owner)
        with connections[self._alias].cursor() as cursor:
            cursor.execute(
                f"{gone} SELECT owner_id, count(*) FROM gone GROUP BY owner_id",  # nosec B608
                {"owners": list(owner_ids)},
            )
            return dict(cursor.fetchall())

    def delete_some(
        self, owner_id: UUID, *, after: Place = FIRST, rows: int | None = None
    ) -> tuple[int, Place]:
        """Delete the next rows of this owner, all of them if it is not said how many.

        Returns how many, and up to where; LAST: no more are left. The end is looked for first: to
        delete a range takes half as long as to delete a list.
        """
        bounds: dict[str, Any] = {
            "owner": owner_id,
            "owners": [owner_id],
            "parent": after.parent,
            "after": after.id,
            "lowest": LOWEST,
            "highest": HIGHEST,
        }
        with connections[self._alias].cursor() as cursor:
            end = LAST
            if rows is not None:
                cursor.execute(self.statements.find_end, bounds | {"rows": rows})
                end = Place(*(cursor.fetchone() or LAST))
            bounds |= {"last_parent": end.parent, "last": end.id}
            if not self._attached:
                cursor.execute(self.statements.delete_range, bounds)
                return cursor.rowcount, end
            gone = self._gone(self.statements.delete_range)
            cursor.execute(f"{gone} SELECT count(*) FROM gone", bounds)  # nosec B608
            return cursor.fetchone()[0], end

    def _gone(self, delete: str, *columns: str) -> str:
        """The beginning of a statement that deletes these rows, of which it then knows so much."""
        if not self._attached:
            return f"WITH gone AS ({delete} RETURNING {', '.join(columns)})"
        returning = ", ".join(["held.*", *columns])
        return f"WITH gone AS ({delete} RETURNING {returning}), attached AS ({self._attached})"


def _links(model: type[models.Model], path: str) -> list[Any]:
    """The foreign keys on the way, the first of them the model's own."""
    links: list[Any] = []
    for name in path.split("__"):
        links.append(model._meta.get_field(name))
        model = links[-1].related_model
    return links


def count_rows(
    tables: Sequence[Table], alias: str, owner_ids: Collection[UUID], *, plan: str = "as usual"
) -> dict[UUID, int]:
    """How many rows each of these owners has, in one look: some may be changing tables.

    Owner by owner, which for one who has a million takes half as long as to group all by owner.
    `plan` tells for which settings it is planned: one that is prepared keeps the plan it got
    under the first, and is known again by its text alone.
    """
    each = " + ".join(f"({table.statements.count})" for table in tables)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"/* {plan} */ SELECT id, {each} FROM unnest(%s::uuid[]) AS subject (id)",  # nosec B608
            [list(owner_ids)],
        )
        return dict(cursor.fetchall())
