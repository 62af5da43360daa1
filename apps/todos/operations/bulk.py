"""Many todos created, changed and deleted, all of them or none."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from apps.todos.errors import BadItem, ItemNotFound, ItemNotYours, ItemRepeated
from apps.todos.models import Change, Todo
from apps.todos.operations.writing import (
    KEPT,
    STATEMENT_TODOS,
    TodoFields,
    change_in,
    demand,
    new_todo,
)
from apps.todos.owners import TODOS
from apps.todos.queries.reading import find_todos, may_change
from kit.directory import Viewer

CHANGED = [*KEPT, "deleted_at", "version", "updated_at"]


class Edit(NamedTuple):
    """A change of one of many; with `version`, only of that one."""

    id: UUID
    fields: TodoFields
    version: int | None = None


def write_todos(
    *,
    viewer: Viewer,
    create: Sequence[TodoFields] = (),
    update: Sequence[Edit] = (),
    delete: Sequence[UUID] = (),
) -> list[Todo]:
    """Do all of this, in one transaction of a few statements. The todos as they are then, in order.

    Raises ItemNotFound, ItemNotYours or ItemRepeated for the first that cannot be done, by its
    place such as `update[3].id`; TodoChanged for a version that no longer holds, with the place
    under `item`; OwnerIsGone and TooMany.
    """
    named = [(f"update[{number}]", edit.id) for number, edit in enumerate(update)]
    named += [(f"delete[{number}]", todo_id) for number, todo_id in enumerate(delete)]
    found = _find(named, viewer)
    changes = Counter(todo.owner_id for todo in found.values())
    if create:
        changes[viewer.user_id] += len(create)
    if not changes:
        return []
    with TODOS.changing(changes) as turns:
        todos = _find(named, viewer)
        if create:
            TODOS.refuse_too_many(viewer.user_id, len(create))
        new = [new_todo(turns[viewer.user_id], fields) for fields in create]
        made: list[Change] = []
        for number, edit in enumerate(update):
            todo = todos[edit.id]
            demand(todo, edit.version, item=f"update[{number}]")
            if edit.fields:
                made.append(change_in(todo, edit.fields, viewer, turns[todo.owner_id]))
        deleted = {"deleted_at": timezone.now()}
        for todo_id in delete:
            todo = todos[todo_id]
            made.append(change_in(todo, deleted, viewer, turns[todo.owner_id]))
        Todo.objects.bulk_create(new, batch_size=STATEMENT_TODOS)
        # Each is there: that it conflicts is a way to update many to values of their own at once.
        Todo.objects.bulk_create(
            todos.values(),
            batch_size=STATEMENT_TODOS,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=CHANGED,
        )
        Change.objects.bulk_create(made)
    return [*new, *(todos[todo_id] for _, todo_id in named)]


def _find(named: Sequence[tuple[str, UUID]], viewer: Viewer) -> dict[UUID, Todo]:
    """The todos of these ids, all of which the viewer may change and which are named once."""
    ids = [todo_id for _, todo_id in named]
    todos = {todo.id: todo for todo in find_todos(ids, viewer)} if ids else {}
    before: set[UUID] = set()
    for place, todo_id in named:
        field = f"{place}.id" if place.startswith("update") else place
        refusal: type[BadItem] | None = None
        if todo_id in before:
            refusal = ItemRepeated
        elif todo_id not in todos:
            refusal = ItemNotFound
        elif not may_change(todos[todo_id], viewer):
            refusal = ItemNotYours
        if refusal:
            raise refusal(field=field)
        before.add(todo_id)
    return todos
