"""Reads of the todos database. Nothing here writes."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

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
    if not may_change(todo, viewer):
        raise TodoNotYours
    return todo


def may_change(todo: Todo, viewer: Viewer) -> bool:
    """Whether the viewer may change a todo that they may see."""
    return viewer.is_staff or todo.owner_id == viewer.user_id


def mentions(text: str) -> Q:
    """The todos in whose title or content each word of `text` occurs, ignoring case.

    Parts of words count. Django compares with UPPER(...) LIKE, which the trigram indexes
    serve from three letters on.
    """
    found = Q()
    for word in text.split():
        found &= Q(title__icontains=word) | Q(content__icontains=word)
    return found


def is_overdue() -> Q:
    """The todos that should have been completed by now, and are not."""
    return Q(completed_at=None, due_at__lt=timezone.now())
