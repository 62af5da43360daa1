"""Single todos, as far as somebody may see or change them."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connections

from apps.todos.errors import TodoNotFound, TodoNotYours
from apps.todos.models import Owner, Todo
from kit.directory import Viewer


def _columns_of(model: type[Todo | Owner], table: str) -> str:
    return ", ".join(f"{table}.{field.column}" for field in model._meta.concrete_fields)


OF_TODO, OF_OWNER = (
    [field.attname for field in model._meta.concrete_fields] for model in (Todo, Owner)
)
FIND = f"""
SELECT {_columns_of(Todo, "todo")}, {_columns_of(Owner, "owner")}
FROM todos_todo AS todo JOIN todos_owner AS owner ON owner.id = todo.owner_id
WHERE owner.tombstoned_at IS NULL
"""  # noqa: S608 - of our own names only  # nosec B608
VISIBLE = f"""
{FIND} AND todo.deleted_at IS NULL
AND (%(staff)s OR todo.owner_id = %(me)s OR todo.visibility = 'public')
"""
IN_TRASH = f"{FIND} AND todo.deleted_at IS NOT NULL AND (%(staff)s OR todo.owner_id = %(me)s)"
# Not as one of a list of one, for which no plan would be kept.
ONE = " AND todo.id = %(id)s"
SOME = " AND todo.id = ANY(%(ids)s)"


def find_todos(todo_ids: Collection[UUID], viewer: Viewer) -> list[Todo]:
    """Those of one's own and others' public ones; staff see all. Not of an account that goes."""
    return _found(VISIBLE + SOME, viewer, ids=list(todo_ids))


def get_todo(todo_id: UUID, viewer: Viewer) -> Todo:
    """Raises TodoNotFound, also for one that is not the viewer's to see."""
    for todo in _found(VISIBLE + ONE, viewer, id=todo_id):
        return todo
    raise TodoNotFound


def get_changeable_todo(todo_id: UUID, viewer: Viewer) -> Todo:
    """Raises TodoNotFound, and TodoNotYours for one that the viewer may only read."""
    todo = get_todo(todo_id, viewer)
    if not may_change(todo, viewer):
        raise TodoNotYours
    return todo


def find_deleted_todo(todo_id: UUID, viewer: Viewer) -> Todo | None:
    """One in the trash that the viewer may bring back: one's own; staff see all."""
    return next(iter(_found(IN_TRASH + ONE, viewer, id=todo_id)), None)


def may_change(todo: Todo, viewer: Viewer) -> bool:
    """Whether the viewer may change a todo that they may see."""
    return viewer.is_staff or todo.owner_id == viewer.user_id


def _found(query: str, viewer: Viewer, **which: Any) -> list[Todo]:
    """By a statement written out: a queryset takes longer to put it together than it takes."""
    with connections["todos"].cursor() as cursor:
        cursor.execute(query, {"staff": viewer.is_staff, "me": viewer.user_id, **which})
        rows = cursor.fetchall()
    todos = []
    for row in rows:
        todo = Todo.from_db("todos", OF_TODO, row[: len(OF_TODO)])
        todo.owner = Owner.from_db("todos", OF_OWNER, row[len(OF_TODO) :])
        todos.append(todo)
    return todos
