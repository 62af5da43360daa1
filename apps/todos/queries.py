"""Reads of the todos database. Nothing here writes."""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.todos.errors import TodoNotFound, TodoNotYours
from apps.todos.models import Todo
from kit.directory import Viewer


def list_todos(viewer: Viewer) -> QuerySet[Todo]:
    """One's own and others' public ones; staff see all. Not those of an account that goes."""
    todos = Todo.objects.filter(owner__tombstoned_at=None).select_related("owner")
    if viewer.is_staff:
        return todos
    return todos.filter(Q(owner=viewer.user_id) | Q(visibility=Todo.Visibility.PUBLIC))


def get_todo(todo_id: UUID, viewer: Viewer, *, lock: bool = False) -> Todo:
    """The todo, on request locked until the transaction ends.

    Raises TodoNotFound, also for one that is not the viewer's to see.
    """
    todos = list_todos(viewer)
    if lock:
        todos = todos.select_for_update(of=("self",))
    try:
        return todos.get(id=todo_id)
    except Todo.DoesNotExist:
        raise TodoNotFound from None


def get_changeable_todo(todo_id: UUID, viewer: Viewer, *, lock: bool = False) -> Todo:
    """Raises TodoNotFound, and TodoNotYours for one that the viewer may only read."""
    todo = get_todo(todo_id, viewer, lock=lock)
    if not viewer.is_staff and todo.owner_id != viewer.user_id:
        raise TodoNotYours
    return todo
