"""Writing one todo: each change is kept, with who made it and when."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import connections
from django.utils import timezone

from apps.todos.errors import TodoChanged, TodoNotDeleted
from apps.todos.models import Change, Owner, Todo
from apps.todos.owners import TAKE_POSITIONS, TODOS, Turn
from apps.todos.queries.history import get_as_of
from apps.todos.queries.own import find_created_under
from apps.todos.queries.reading import OF_TODO, find_deleted_todo, get_changeable_todo, get_todo
from kit.directory import Viewer
from kit.errors import KeyReused
from kit.ids import new_id

# What a person may write, as it is kept.
KEPT = ("title", "content", "category", "tags", "due_at", "completed_at", "visibility")

# To a statement, which may take 30 s: on a busy machine the search index took 0.4 s to take in one
# of the longest.
STATEMENT_TODOS = 25

# What is created takes its turn in the same statement.
OF_TURN = ["position", "created_as"]
GIVEN = [name for name in OF_TODO if name not in OF_TURN]
CREATE = f"""
WITH turn AS ({TAKE_POSITIONS})
INSERT INTO todos_todo ({", ".join(GIVEN + OF_TURN)})
SELECT {", ".join(f"%({name})s" for name in GIVEN)}, position,
    CASE WHEN %(key)s::varchar IS NULL THEN '' ELSE username END
FROM turn
RETURNING position, created_as, (SELECT username FROM turn)
"""  # noqa: S608 - of our own names only  # nosec B608
# What is not given; of tags each gets a list of its own.
BLANK = {name: getattr(Todo(), name) for name in GIVEN}


class TodoFields(TypedDict, total=False):
    """What a person may write. `completed` stands for `completed_at`, which the server sets."""

    title: str
    content: str
    category: str
    tags: list[str]
    due_at: datetime | None
    completed: bool
    visibility: str


def create_todo(*, owner_id: UUID, key: str | None = None, **fields: Unpack[TodoFields]) -> Todo:
    """Create a todo; under a key that has one already, gives that one as it was created.

    A key is one owner's, and is kept as long as its todo: 30 days longer than that is wanted.
    Raises KeyReused where another one was created under the key, KeyInFlight while one is being
    created, OwnerIsGone for an account that is deleted or being deleted, and TooMany for one that
    has as many as it may, those in the trash among them.
    """
    named = {"id": new_id(), "owner_id": owner_id, "key": key, "changes": 1}
    values = {**BLANK, "tags": [], **as_kept(fields), **named}
    if key is None:
        TODOS.refuse_too_many(owner_id)
        row = TODOS.change_in_one_statement(owner_id, CREATE, values)
    else:
        with TODOS.changing({owner_id: 0}, key=key):
            if known := find_created_under(owner_id, key):
                return _first_answer(known, fields)  # within, while nobody sweeps its history
            TODOS.refuse_too_many(owner_id)
            with connections[TODOS.alias].cursor() as cursor:
                cursor.execute(CREATE, values)
                row = cursor.fetchone()
    values["position"], values["created_as"], username = row
    # As if it had been fetched: to make a new one takes four times as long.
    todo = Todo.from_db(TODOS.alias, OF_TODO, [values[name] for name in OF_TODO])
    todo.owner = Owner(id=owner_id, username=username, position=todo.position)
    return todo


def new_todo(turn: Turn, fields: Mapping[str, Any], *, key: str | None = None) -> Todo:
    """Not saved."""
    position = next(turn.positions)
    return Todo(owner=turn.owner, position=position, key=key, **as_kept(fields))


def as_kept(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a new todo with these fields."""
    now = timezone.now()
    kept = {"created_at": now, "updated_at": now, **fields}
    if "completed" in kept:
        kept["completed_at"] = now if kept.pop("completed") else None
    return kept


def _first_answer(known: Todo, fields: TodoFields) -> Todo:
    """The todo as it was created. Raises KeyReused if that is not what is asked for now."""
    first = get_as_of(known, 1)
    first.updated_at = first.created_at
    if known.created_as:  # not of one that was created before this was kept
        first.owner = Owner(id=known.owner_id, username=known.created_as)
    if not _is_what_was_asked(first, fields):
        raise KeyReused
    return first


def _is_what_was_asked(todo: Todo, fields: TodoFields) -> bool:
    asked = Todo(**{name: value for name, value in fields.items() if name != "completed"})
    same = all(
        getattr(todo, name) == getattr(asked, name) for name in KEPT if name != "completed_at"
    )
    return same and todo.completed == fields.get("completed", False)


def change_todo(
    *,
    todo_id: UUID,
    viewer: Viewer,
    version: int | None = None,
    owner_id: UUID | None = None,
    **fields: Unpack[TodoFields],
) -> Todo:
    """Change the fields given; the version goes up by one.

    With `version`, only if the todo still has it: raises TodoChanged, with the todo as
    it is now under `current`. Without, the last writer of a field wins. `owner_id` saves a look,
    where the caller knows it. Raises TodoNotFound and TodoNotYours.
    """
    owner_id = owner_id or get_changeable_todo(todo_id, viewer).owner_id
    with TODOS.changing({owner_id: 1}) as turns:
        todo = get_changeable_todo(todo_id, viewer)
        demand(todo, version)
        if fields:
            change = change_in(todo, fields, viewer, turns[owner_id])
            _save(todo, change)
    return todo


def delete_todo(
    *, todo_id: UUID, viewer: Viewer, version: int | None = None, owner_id: UUID | None = None
) -> None:
    """Put the todo into the trash, for 30 days.

    Raises TodoNotFound, TodoNotYours and, with `version`, TodoChanged.
    """
    owner_id = owner_id or get_changeable_todo(todo_id, viewer).owner_id
    with TODOS.changing({owner_id: 1}) as turns:
        todo = get_changeable_todo(todo_id, viewer)
        demand(todo, version)
        deleted = {"deleted_at": timezone.now()}
        _save(todo, change_in(todo, deleted, viewer, turns[owner_id]))


def restore_todo(*, todo_id: UUID, viewer: Viewer, version: int | None = None) -> Todo:
    """Bring a todo back from the trash.

    Raises TodoNotFound, TodoNotDeleted and, with `version`, TodoChanged.
    """
    for_its_owner = find_deleted_todo(todo_id, viewer) or get_changeable_todo(todo_id, viewer)
    with TODOS.changing({for_its_owner.owner_id: 1}) as turns:
        todo = find_deleted_todo(todo_id, viewer)
        if todo is None:
            get_todo(todo_id, viewer)  # or it was swept just now
            raise TodoNotDeleted
        demand(todo, version)
        _save(todo, change_in(todo, {"deleted_at": None}, viewer, turns[todo.owner_id]))
    return todo


def restore_version(
    *, todo_id: UUID, number: int, viewer: Viewer, version: int | None = None
) -> Todo:
    """Make the todo what it was in version `number`, as one more change.

    Raises TodoNotFound, TodoNotYours, VersionNotFound and, with `version`, TodoChanged.
    """
    owner_id = get_changeable_todo(todo_id, viewer).owner_id
    with TODOS.changing({owner_id: 1}) as turns:
        todo = get_changeable_todo(todo_id, viewer)
        demand(todo, version)
        then = get_as_of(todo, number)
        values = {name: getattr(then, name) for name in KEPT}
        _save(todo, change_in(todo, values, viewer, turns[owner_id]))
    return todo


def demand(todo: Todo, version: int | None, **context: Any) -> None:
    """Raises TodoChanged if the todo no longer has this version."""
    if version is not None and todo.version != version:
        raise TodoChanged(current=todo, **context)


def change_in(todo: Todo, values: Mapping[str, Any], viewer: Viewer, turn: Turn) -> Change:
    """Change the todo to these values, and say what that has made of what. Neither is saved."""
    now = timezone.now()
    values = dict(values)
    if "completed" in values and values.pop("completed") != todo.completed:
        values["completed_at"] = None if todo.completed else now
    differing = {name: new for name, new in values.items() if getattr(todo, name) != new}
    changes = {name: [_plain(getattr(todo, name)), _plain(differing[name])] for name in differing}
    for name, new in differing.items():
        setattr(todo, name, new)
    todo.version += 1
    todo.updated_at = now
    return Change(
        owner_id=todo.owner_id,
        todo_id=todo.id,
        version=todo.version,
        position=next(turn.positions),
        at=now,
        by_id=viewer.user_id,
        changes=changes,
    )


def _plain(value: Any) -> Any:
    """As JSON has it, and as the API shows it."""
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _save(todo: Todo, change: Change) -> None:
    todo.save(update_fields=["version", "updated_at", *change.changes])
    change.save(force_insert=True)
