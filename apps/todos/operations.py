"""Writes to the todos database. One function is one command and one transaction."""

from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.utils import timezone

from apps.todos.errors import TodoChanged
from apps.todos.models import Todo
from apps.todos.owners import TODOS
from apps.todos.queries import get_changeable_todo
from kit.directory import Viewer
from kit.transactions import durable

ALIAS = "todos"


class TodoFields(TypedDict, total=False):
    """What a person may write. `completed` stands for `completed_at`, which the server sets."""

    title: str
    content: str
    category: str
    tags: list[str]
    due_at: datetime | None
    completed: bool
    visibility: str


def create_todo(*, owner_id: UUID, **fields: Unpack[TodoFields]) -> Todo:
    """Raises OwnerIsGone for an account that is deleted or being deleted."""
    completed = fields.pop("completed", False)
    with TODOS.admitted(owner_id):
        todo = Todo.objects.create(
            owner_id=owner_id, completed_at=timezone.now() if completed else None, **fields
        )
    return todo


def change_todo(
    *, todo_id: UUID, viewer: Viewer, version: int | None = None, **fields: Unpack[TodoFields]
) -> Todo:
    """Change the fields given; the version goes up by one.

    With `version`, only if the todo still has it: raises TodoChanged, with the todo as
    it is now under `current`. Without, the last writer of a field wins.
    Raises TodoNotFound and TodoNotYours.
    """
    with durable(ALIAS):
        todo = _locked(todo_id, viewer, version)
        if not fields:
            return todo
        if "completed" in fields and fields.pop("completed") != todo.completed:
            todo.completed_at = None if todo.completed else timezone.now()
        for field, value in fields.items():
            setattr(todo, field, value)
        todo.version += 1
        todo.save()
    return todo


def delete_todo(*, todo_id: UUID, viewer: Viewer, version: int | None = None) -> None:
    """Raises TodoNotFound, TodoNotYours and, with `version`, TodoChanged."""
    with durable(ALIAS):
        _locked(todo_id, viewer, version).delete()


def _locked(todo_id: UUID, viewer: Viewer, version: int | None) -> Todo:
    todo = get_changeable_todo(todo_id, viewer, lock=True)
    if version is not None and todo.version != version:
        raise TodoChanged(current=todo)
    return todo
