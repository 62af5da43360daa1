"""Lists of todos, each in one statement, which is put together here and nowhere else.

It is made of the pieces in this file only; what somebody asked for is bound to it. A queryset
took longer to put it together, and to make objects of its rows, than all the rest of a request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connections
from django.db.models.expressions import RawSQL
from django.utils import timezone

from kit.directory import Viewer

Position = Sequence[str | int | None]


class Listed(NamedTuple):
    """A todo as far as it is shown. Ids and times are text, as PostgreSQL writes it in UTC."""

    id: str
    owner_id: str
    username: str
    title: str
    content: str
    category: str
    tags: list[str]
    due_at: str | None
    completed_at: str | None
    visibility: str
    created_at: str
    updated_at: str
    deleted_at: str | None
    version: int
    rank: int | None = None  # of a search


COLUMNS = """
todo.id, owner_id, username, title, content, category, tags, due_at, completed_at, visibility,
created_at, updated_at, deleted_at, version
"""
SHOWN = """
id::text, owner_id::text, username, title, content, category, tags, due_at::text,
completed_at::text, visibility, created_at::text, updated_at::text, deleted_at::text, version
"""
FROM = "FROM todos_todo AS todo JOIN todos_owner AS owner ON owner.id = owner_id"

# A list is looked for among the viewer's own and among others' public ones apart, for each of
# which there is an index in its order. For both at once PostgreSQL may find nothing better than
# to walk through the todos of all people until a page is full, which may be never.
OWN = "owner_id = %(me)s"
PUBLIC = "visibility = 'public' AND owner_id <> %(me)s"

# A search has one index for both, in no order: it has the parts of a todo's words and who may see
# it (migration 0003), so that nothing is fetched that others keep to themselves. Parts of a word
# do not tell whether they stand in a row: that is looked at in what was found.
FOUND_BY = "todos_found_by(owner_id, visibility, title, content)"
SEARCHED = f"{FOUND_BY} @@ todos_asked(%(search)s)"
SEARCHED_OWN = f"{FOUND_BY} @@ (todos_asked(%(search)s) && todos_seen_by(%(me)s::text))"
SEARCHED_BOTH = f"""
{FOUND_BY} @@ (
    todos_asked(%(search)s) && (todos_seen_by(%(me)s::text) || todos_seen_by('public'))
)
"""
IN_A_ROW = "todos_fold(title || ' ' || content) LIKE ALL (todos_patterns(%(search)s))"
RANK = "todos_rank(title, content, %(search)s)"

IS_OVERDUE = "completed_at IS NULL AND due_at < %(now)s"
# By the name of what is asked for; for what is true or false, both.
CONDITIONS: dict[str, str | dict[bool, str]] = {
    "username": "upper(username) = upper(%(username)s)",
    "completed": {True: "completed_at IS NOT NULL", False: "completed_at IS NULL"},
    "category": "category = %(category)s",
    "tag": "tags @> %(tag)s::varchar[] AND todos_planned_for(%(tag)s::varchar[])",
    "due_before": "due_at < %(due_before)s",
    "due_after": "due_at > %(due_after)s",
    "created_before": "created_at < %(created_before)s",
    "created_after": "created_at > %(created_after)s",
    "completed_before": "completed_at < %(completed_before)s",
    "completed_after": "completed_at > %(completed_after)s",
    "overdue": {True: IS_OVERDUE, False: f"({IS_OVERDUE}) IS NOT TRUE"},
    "search": IN_A_ROW,
    "deleted": {True: "deleted_at IS NOT NULL", False: "deleted_at IS NULL"},
}


class Key(NamedTuple):
    """What a list is ordered by: a column, or the rank. Nulls come last, in either direction."""

    name: str
    descending: bool

    @property
    def type(self) -> str:
        return {"id": "uuid", "rank": "integer", "title": "text"}.get(self.name, "timestamptz")

    @property
    def value(self) -> str:
        return {"id": "todo.id", "rank": RANK}.get(self.name, self.name)

    def order(self, *, backwards: bool) -> str:
        direction = "DESC" if self.descending != backwards else "ASC"
        if self.name != "due_at":
            return f"{self.name} {direction}"
        return f"{self.name} {direction} NULLS {'FIRST' if backwards else 'LAST'}"

    def at(self, bound: str, *, is_null: bool) -> str:
        """The rows that have this value."""
        return f"{self.value} IS NULL" if is_null else f"{self.value} = {bound}"

    def beyond(self, bound: str, *, is_null: bool, backwards: bool) -> str:
        """The rows that come after this value; backwards, those before it."""
        if is_null:
            return f"{self.value} IS NOT NULL" if backwards else "false"
        rows = f"{self.value} {'<' if self.descending != backwards else '>'} {bound}"
        return f"({rows} OR due_at IS NULL)" if self.name == "due_at" and not backwards else rows


class Order(tuple[Key, ...]):
    """The keys of a list, the first before all; the id settles what the others leave equal."""

    __slots__ = ()

    def by(self, *, backwards: bool, table: str = "") -> str:
        return ", ".join(table + key.order(backwards=backwards) for key in self)

    def position_of(self, row: Listed) -> Position:
        return [getattr(row, key.name) for key in self]

    def beyond(self, position: Position, *, backwards: bool) -> str:
        """The rows after this position, which is bound as `at_0` and so on, or before it.

        (a, b) > (x, y) as a > x or a = x and b > y.
        """
        rows = ""
        for number, key in reversed(list(enumerate(self))):
            bound, is_null = f"%(at_{number})s::{key.type}", position[number] is None
            further = key.beyond(bound, is_null=is_null, backwards=backwards)
            equal = f" OR ({key.at(bound, is_null=is_null)} AND {rows})" if rows else ""
            rows = f"({further}{equal})"
        return rows


def order_of(names: Sequence[str], *, searched: bool) -> Order:
    """By these columns, with - in front the other way round. Else the best or the newest first."""
    names = names or (["-rank", "-id"] if searched else ["-id"])
    keys = [Key(name.lstrip("-"), name.startswith("-")) for name in names]
    if keys[-1].name != "id":
        keys.append(Key("id", keys[-1].descending))
    return Order(keys)


def list_todos(
    viewer: Viewer,
    wanted: Mapping[str, Any],
    order: Order,
    limit: int,
    position: Position | None = None,
    backwards: bool = False,
) -> list[Listed]:
    """The first so many todos that the viewer may see; with `position`, of those beyond it.

    One's own and others' public ones; staff see all. Not those of an account that goes. Of what
    was deleted one's own, where that is `wanted`. `wanted` has values by the names in CONDITIONS.
    """
    query = statement(viewer, wanted, order, limit, position=position, backwards=backwards)
    bound: dict[str, Any] = {f"at_{number}": value for number, value in enumerate(position or ())}
    bound |= {"me": viewer.user_id, "now": timezone.now()}
    with connections["todos"].cursor() as cursor:
        cursor.execute(query, {**wanted, **bound})
        return [Listed(*row) for row in cursor.fetchall()]


def statement(
    viewer: Viewer,
    wanted: Mapping[str, Any],
    order: Order,
    limit: int,
    *,
    position: Position | None = None,
    backwards: bool = False,
) -> str:
    """The SQL of `list_todos`.

    The limit is written into it: of one that is bound a plan for all values cannot be made.
    """
    wanted = {"deleted": False, **wanted}
    narrowed = ["tombstoned_at IS NULL", *(_condition(*each) for each in wanted.items())]
    if position:
        narrowed.append(order.beyond(position, backwards=backwards))
    searched = "search" in wanted
    rank = f", {RANK} AS rank" if searched else ""
    by = order.by(backwards=backwards)
    each = " UNION ALL ".join(
        f"(SELECT {COLUMNS}{rank} {FROM} WHERE {' AND '.join([*among, *narrowed])} "
        f"ORDER BY {by} LIMIT {limit:d})"
        for among in _who(viewer, searched=searched, deleted=wanted["deleted"])
    )
    return (
        f"SELECT {SHOWN}{', rank' if searched else ''} FROM ({each}) AS page "  # noqa: S608 - of the pieces above  # nosec B608
        f"ORDER BY {order.by(backwards=backwards, table='page.')} LIMIT {limit:d}"
    )


def _who(viewer: Viewer, *, searched: bool, deleted: bool) -> list[list[str]]:
    """Where the viewer's page is looked for, each with its conditions."""
    if searched:
        return [[SEARCHED if viewer.is_staff else SEARCHED_OWN if deleted else SEARCHED_BOTH]]
    if viewer.is_staff:
        return [[]]
    return [[OWN]] if deleted else [[OWN], [PUBLIC]]


def _condition(name: str, value: Any) -> str:
    condition = CONDITIONS[name]
    return condition if isinstance(condition, str) else condition[value]


def mentioning(words: str) -> RawSQL:
    """The ids of all people's todos in which each of the words occurs, for `id__in`."""
    found = f"SELECT id FROM todos_todo WHERE {SEARCHED} AND {IN_A_ROW}"  # noqa: S608 - of the pieces above  # nosec B608
    return RawSQL(found.replace("%(search)s", "%s"), [words, words])  # noqa: S611 - it is bound  # nosec B611
