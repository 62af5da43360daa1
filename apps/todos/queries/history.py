"""What became of todos."""

from copy import copy
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from apps.todos.errors import HistoryNotYours, VersionNotFound
from apps.todos.models import Change, Todo, Version
from apps.todos.queries.reading import find_deleted_todo, get_todo, may_change
from kit.directory import Viewer

# At a time: one has a content that was, and one that became of it.
READ_CHANGES = 100
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
    for change in undone.iterator(chunk_size=READ_CHANGES):
        for name, (was, _) in change.changes.items():
            setattr(then, name, _COLUMNS[name].to_python(was))
        then.version = change.version - 1
    if then.version != version:  # beyond the last, or of a time before history was kept
        raise VersionNotFound
    return then


def find_stray_changes() -> list[UUID]:
    """The ids of todos that have changes and are not there, which the database does not forbid."""
    todos = Todo.objects.filter(id=OuterRef("todo"))
    strays = Change.objects.filter(~Exists(todos)).values_list("todo", flat=True)
    return list(strays.order_by("todo").distinct())
