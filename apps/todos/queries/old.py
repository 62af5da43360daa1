"""Reads of the todos database. Nothing here writes."""

from collections.abc import Collection, Iterator
from copy import copy
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.models import (
    BooleanField,
    Exists,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
)
from django.utils import timezone

from apps.todos.errors import (
    CursorTooOld,
    HistoryNotYours,
    TodoNotFound,
    TodoNotYours,
    VersionNotFound,
)
from apps.todos.models import Category, Change, Owner, Tag, Todo, Version
from kit.directory import Viewer

EXPORT_ROWS = 1_000


def list_todos(viewer: Viewer) -> QuerySet[Todo]:
    """One's own and others' public ones; staff see all. Not those of an account that goes."""
    todos = list_all_todos()
    if viewer.is_staff:
        return todos
    return todos.filter(Q(owner=viewer.user_id) | Q(visibility=Todo.Visibility.PUBLIC))


def list_all_todos() -> QuerySet[Todo]:
    """Those of all people: for `first_of`, which takes of them what the viewer may see."""
    return _of_the_living().filter(deleted_at=None)


def first_of(todos: QuerySet[Todo], viewer: Viewer, number: int) -> QuerySet[Todo]:
    """The first so many of these todos, which are ordered, that the viewer may see.

    Looked for among the viewer's own and among others' public ones apart, for each of which there
    is an index in the order of a list. For both at once PostgreSQL may find nothing better than
    to walk through the todos of all people until a page is full, which may be never.
    """
    if viewer.is_staff:
        return todos[:number]
    own = todos.filter(owner=viewer.user_id)
    public = todos.filter(visibility=Todo.Visibility.PUBLIC).exclude(owner=viewer.user_id)
    both = own[:number].union(public[:number], all=True)
    return both.order_by(*todos.query.order_by)[:number]


def list_trash(viewer: Viewer) -> QuerySet[Todo]:
    """What can be brought back: of one's own; staff see all."""
    trash = _of_the_living().exclude(deleted_at=None)
    return trash if viewer.is_staff else trash.filter(owner=viewer.user_id)


def _of_the_living() -> QuerySet[Todo]:
    return Todo.objects.filter(owner__tombstoned_at=None).select_related("owner")


def get_todo(todo_id: UUID, viewer: Viewer) -> Todo:
    """Raises TodoNotFound, also for one that is not the viewer's to see."""
    return _get(list_todos(viewer), todo_id)


def get_changeable_todo(todo_id: UUID, viewer: Viewer) -> Todo:
    """Raises TodoNotFound, and TodoNotYours for one that the viewer may only read."""
    todo = get_todo(todo_id, viewer)
    if not may_change(todo, viewer):
        raise TodoNotYours
    return todo


def find_deleted_todo(todo_id: UUID, viewer: Viewer) -> Todo | None:
    """One in the trash that the viewer may bring back."""
    return list_trash(viewer).filter(id=todo_id).first()


def _get(todos: QuerySet[Todo], todo_id: UUID) -> Todo:
    try:
        return todos.get(id=todo_id)
    except Todo.DoesNotExist:
        raise TodoNotFound from None


def may_change(todo: Todo, viewer: Viewer) -> bool:
    """Whether the viewer may change a todo that they may see."""
    return viewer.is_staff or todo.owner_id == viewer.user_id


# --- searching ----------------------------------------------------------------------------


class _Mentions(Func):
    """Whether all of the words occur, by the index `todos_parts`."""

    template = "todos_parts(title, content) @@ todos_asked(%(expressions)s)"
    output_field = BooleanField()


class _Text(Func):
    template = "todos_fold(title || ' ' || content)"
    output_field = TextField()


class _Folded(Func):
    function = "todos_fold"
    output_field = TextField()


class _Rank(Func):
    function = "todos_rank"
    output_field = IntegerField()


def search(todos: QuerySet[Todo], words: str) -> QuerySet[Todo]:
    """Those in whose title or content every word occurs, also within others; best first.

    Case does not matter, nor how characters are put together (Unicode's NFKC). What the index
    finds for a word has all its parts of three letters; whether in a row, is looked at then.
    """
    todos = todos.filter(_Mentions(Value(words))).alias(text=_Text())
    for word in words.split():
        todos = todos.filter(text__contains=_Folded(Value(word)))
    rank = Func(
        "title", "content", Value(words), function="todos_rank", output_field=IntegerField()
    )
    return todos.annotate(rank=rank).order_by("-rank", "-id")


def is_overdue() -> Q:
    """The todos that should have been completed by now, and are not."""
    return Q(completed_at=None, due_at__lt=timezone.now())


# --- labels -------------------------------------------------------------------------------


def list_tags(owner_id: UUID) -> QuerySet[Tag]:
    """The owner's tags, with how many todos have each."""
    return Tag.objects.filter(owner=owner_id).order_by("name")


def list_categories(owner_id: UUID) -> QuerySet[Category]:
    """The owner's categories, with how many todos are in each."""
    return Category.objects.filter(owner=owner_id).order_by("name")


# --- history ------------------------------------------------------------------------------


_COLUMNS = {column.name: column for column in Todo._meta.concrete_fields}


def list_versions(todo_id: UUID, viewer: Viewer) -> QuerySet[Version]:
    """What became of a todo, also of one in the trash. The latest first.

    Raises TodoNotFound, and HistoryNotYours for one that the viewer may only read.
    """
    todo = find_deleted_todo(todo_id, viewer) or get_todo(todo_id, viewer)
    if not may_change(todo, viewer):
        raise HistoryNotYours
    return Version.objects.filter(todo=todo_id).select_related("by").order_by("-version")


def get_as_of(todo: Todo, version: int) -> Todo:
    """The todo as it was: what was changed since, undone. Raises VersionNotFound."""
    then = copy(todo)
    undone = Change.objects.filter(todo=todo.id, version__gt=version).order_by("-version")
    for change in undone:
        for name, (was, _) in change.changes.items():
            setattr(then, name, _COLUMNS[name].to_python(was))
        then.version = change.version - 1
    if then.version != version:  # beyond the last, or of a time before history was kept
        raise VersionNotFound
    return then


# --- following ----------------------------------------------------------------------------

# A todo stands where it was last changed, so it is found once, and as it is now.
CHANGED_SINCE = """
SELECT position, id, version, deleted FROM (
    (
        SELECT position, id, version, deleted_at IS NOT NULL AS deleted
        FROM todos_todo AS todo
        WHERE owner_id = %(owner)s AND (position, id) > (%(position)s, %(id)s)
          AND NOT EXISTS (SELECT FROM todos_change WHERE todo_id = todo.id)
        ORDER BY position, id LIMIT %(limit)s
    ) UNION ALL (
        SELECT change.position, todo.id, todo.version, deleted_at IS NOT NULL
        FROM todos_change AS change JOIN todos_todo AS todo ON todo.id = todo_id
        WHERE change.owner_id = %(owner)s
          AND (change.position, change.todo_id) > (%(position)s, %(id)s)
          AND todo.version = change.version
        ORDER BY change.position, change.todo_id LIMIT %(limit)s
    )
) AS changed
ORDER BY position, id LIMIT %(limit)s
"""


class Place(NamedTuple):
    """How far somebody has followed the changes of an owner's todos.

    Of what was swept up to `floor` they have never heard. The id tells those apart that were
    there before positions were given, which all have none.
    """

    position: int = -1
    id: UUID = UUID(int=0)
    floor: int = 0


class Changed(NamedTuple):
    """A todo that was created, changed, deleted or restored: its version by now."""

    position: int
    id: UUID
    version: int
    deleted: bool


BEGINNING = Place()


def get_beginning(owner_id: UUID) -> Place:
    """Where somebody begins to follow who knows nothing."""
    owner = Owner.objects.filter(id=owner_id).first()
    return BEGINNING._replace(floor=owner.swept_position) if owner else BEGINNING


def list_changed(owner_id: UUID, since: Place, *, limit: int) -> tuple[list[Changed], Place]:
    """The next so many of the owner's todos that have changed, and the place behind them.

    Raises CursorTooOld where the trash of what was deleted behind `since` has been swept, or
    where a backup was put back that is older.
    """
    with connections["todos"].cursor() as cursor:
        cursor.execute(CHANGED_SINCE, {**since._asdict(), "owner": owner_id, "limit": limit})
        changed = [Changed(*row) for row in cursor.fetchall()]
    # Behind them: what is swept from now on was still among them.
    owner = Owner.objects.filter(id=owner_id).first() or Owner(position=0, swept_position=0)
    if owner.swept_position > max(since.position, since.floor) or since.position > owner.position:
        raise CursorTooOld
    if not changed:
        return [], since
    last = changed[-1]
    return changed, since._replace(position=last.position, id=last.id)


def find_stray_changes() -> list[UUID]:
    """The ids of todos that have changes and are not there, which the database does not forbid."""
    todos = Todo.objects.filter(id=OuterRef("todo"))
    strays = Change.objects.filter(~Exists(todos)).values_list("todo", flat=True)
    return list(strays.order_by("todo").distinct())


# --- all of one's own ---------------------------------------------------------------------


def iterate_own(owner_id: UUID) -> Iterator[Todo]:
    """All todos of an owner, the trash too, the oldest first. A thousand are held at a time."""
    own = Todo.objects.filter(owner=owner_id).select_related("owner").order_by("id")
    page = list(own[:EXPORT_ROWS])
    while page:
        yield from page
        page = list(own.filter(id__gt=page[-1].id)[:EXPORT_ROWS])


def find_created_under(owner_id: UUID, key: str) -> Todo | None:
    """The owner's todo that was created under this key."""
    return Todo.objects.filter(owner=owner_id, key=key).select_related("owner").first()


def list_known(owner_id: UUID, ids: Collection[UUID], keys: Collection[str]) -> set[Any]:
    """Those of these ids, and of these keys, that the owner's todos have."""
    own = Todo.objects.filter(Q(id__in=ids) | Q(key__in=keys), owner=owner_id)
    return {each for row in own.values_list("id", "key") for each in row if each is not None}
