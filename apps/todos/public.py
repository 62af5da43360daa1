"""The door of the todos app: the only module that other apps and `tasks` may import."""

from typing import Unpack
from uuid import UUID

from apps.todos.operations.trash import sweep_trash
from apps.todos.operations.writing import TodoFields, create_todo
from apps.todos.owners import TODOS as holdings
from apps.todos.queries.history import find_stray_changes

__all__ = ["TodoFields", "add_todo", "find_stray_changes", "holdings", "sweep_trash"]


def add_todo(*, owner_id: UUID, **fields: Unpack[TodoFields]) -> UUID:
    """Create a todo; returns its id. Raises OwnerIsGone."""
    return create_todo(owner_id=owner_id, **fields).id
