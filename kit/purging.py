"""The statements of a purge: delete and count the rows that owners have in one table.

A row belongs to an owner directly, or through a row that does (an entry, through its counter):
its *parent* is what its foreign key points to. Rows are deleted in the order of parent and id,
and whoever goes on from where the chunk before ended does not walk over what that has deleted:
dead entries stay in an index as long as any transaction might still see their rows, and a purge
that began from the front each time would slow down with the square of what there is.

So a table needs an index that begins with its foreign key and `id`, and its ids are UUIDs.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
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
# For a look at rows most of which have just been deleted: page by page, and not once for each
# dead entry of an index, which takes eight times as long.
BY_PAGE = """
SELECT set_config('enable_indexscan', 'off', true), set_config('enable_indexonlyscan', 'off', true)
"""


class Place(NamedTuple):
    """A row's place in the order in which its table is purged."""

    parent: UUID
    id: UUID


FIRST, LAST = Place(LOWEST, LOWEST), Place(HIGHEST, HIGHEST)


class Table:
    """One of an app's tables with rows of owners, found by the field path to the owner."""

    def __init__(self, model: type[models.Model], path: str, alias: str) -> None:
        self._alias = alias
        self._name = model._meta.db_table
        first, *others = path.split("__")
        link = _foreign_key(model, first)
        self._column = link.column
        self._is_direct = not others
        if others:
            (second,) = others
            parents, link = link.related_model, _foreign_key(link.related_model, second)
            self._parents = (
                f"SELECT id, {link.column} AS owner_id FROM {parents._meta.db_table} "
                f"WHERE {link.column} = ANY(%(owners)s::uuid[])"
            )
        else:
            self._parents = "SELECT id, id AS owner_id FROM unnest(%(owners)s::uuid[]) AS id"

    @property
    def owners_of_rows(self) -> str:
        """A query for the owner of each of the rows that the `owners` have here."""
        return (
            f"SELECT parent.owner_id FROM ({self._parents}) AS parent "
            f"JOIN {self._name} AS held ON held.{self._column} = parent.id"
        )

    def delete_all(self, owner_ids: Collection[UUID]) -> dict[UUID, int]:
        """Delete everything of these owners. How many rows that were, by owner."""
        gone = self._fetch(
            f"""
            WITH gone AS (
                DELETE FROM {self._name} AS held USING ({self._parents}) AS parent
                WHERE held.{self._column} = parent.id
                RETURNING parent.owner_id
            )
            SELECT owner_id, count(*) FROM gone GROUP BY owner_id
            """,
            {"owners": list(owner_ids)},
        )
        return dict(gone)

    def delete_some(self, owner_id: UUID, *, after: Place, rows: int) -> tuple[int, Place]:
        """Delete the next rows of this owner. How many, and up to where; LAST: no more are left.

        The end is looked for first: to delete a range takes half as long as to delete a list.
        """
        bounds: dict[str, Any] = {
            "owner": owner_id,
            "owners": [owner_id],
            "parent": after.parent,
            "after": after.id,
            "lowest": LOWEST,
            "highest": HIGHEST,
        }
        found = self._fetch(self._find_end, bounds | {"rows": rows})
        end = Place(*found[0]) if found else LAST
        with connections[self._alias].cursor() as cursor:
            ends = {"last_parent": end.parent, "last": end.id}
            cursor.execute(self._delete_range, bounds | ends)
            return cursor.rowcount, end

    @cached_property
    def _find_end(self) -> str:
        if self._is_direct:
            return f"""
            SELECT %(owner)s::uuid, id FROM {self._name}
            WHERE {self._column} = %(owner)s AND id > %(after)s
            ORDER BY id OFFSET %(rows)s - 1 LIMIT 1
            """
        return f"""
        SELECT parent.id, held.id
        FROM (SELECT id FROM ({self._parents}) AS parent WHERE id >= %(parent)s ORDER BY id)
             AS parent
        CROSS JOIN LATERAL (
            SELECT id FROM {self._name}
            WHERE {self._column} = parent.id
              AND id > CASE WHEN parent.id = %(parent)s THEN %(after)s ELSE %(lowest)s END
            ORDER BY id
            LIMIT %(rows)s
        ) AS held
        OFFSET %(rows)s - 1 LIMIT 1
        """

    @cached_property
    def _delete_range(self) -> str:
        if self._is_direct:
            return f"""
            DELETE FROM {self._name}
            WHERE {self._column} = %(owner)s AND id > %(after)s AND id <= %(last)s
            """
        return f"""
        DELETE FROM {self._name} AS held USING ({self._parents}) AS parent
        WHERE held.{self._column} = parent.id
          AND parent.id BETWEEN %(parent)s AND %(last_parent)s
          AND held.id > CASE WHEN parent.id = %(parent)s THEN %(after)s ELSE %(lowest)s END
          AND held.id <= CASE WHEN parent.id = %(last_parent)s THEN %(last)s ELSE %(highest)s END
        """

    def _fetch(self, query: str, parameters: dict[str, Any]) -> list[Any]:
        with connections[self._alias].cursor() as cursor:
            cursor.execute(query, parameters)
            rows: list[Any] = cursor.fetchall()
            return rows


def _foreign_key(model: type[models.Model], name: str) -> Any:
    return model._meta.get_field(name)


def count_rows(tables: Sequence[Table], alias: str, owner_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many rows each of these owners has, in one look: some may be changing tables."""
    each = " UNION ALL ".join(table.owners_of_rows for table in tables)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"SELECT owner_id, count(*) FROM ({each}) AS row GROUP BY owner_id",
            {"owners": list(owner_ids)},
        )
        return dict.fromkeys(owner_ids, 0) | dict(cursor.fetchall())
