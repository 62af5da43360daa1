"""Taking in many todos at once, each of them once however often its file is sent."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from apps.todos.models import Todo
from apps.todos.operations.writing import STATEMENT_TODOS, new_todo
from apps.todos.owners import TODOS, Turn
from apps.todos.queries.own import list_known

BATCH_TODOS = 1_000


class Line(NamedTuple):
    """A todo to be taken in, and what makes it this one and no other.

    `identity`: an id, as the file has it, or a digest of what it says.
    """

    identity: str
    fields: Mapping[str, Any]


def import_todos(*, owner_id: UUID, lines: Iterable[Line], at_once: int | None) -> int:
    """Add those of the lines that were not added before; how many they are.

    With `at_once`, how many lines there are at most, all in one transaction: the owner's other
    writes wait for it. Without, in one for each thousand. Raises OwnerIsGone and TooMany.
    """
    lines = iter(lines)
    added = 0
    if at_once is not None:
        with _turn(owner_id, at_once) as turn:
            while batch := list(islice(lines, BATCH_TODOS)):
                added += _add(turn, batch)
        return added
    while batch := list(islice(lines, BATCH_TODOS)):
        with _turn(owner_id, len(batch)) as turn:
            added += _add(turn, batch)
    return added


@contextmanager
def _turn(owner_id: UUID, changes: int) -> Iterator[Turn]:
    with TODOS.changing({owner_id: changes}) as turns:
        yield turns[owner_id]


def _add(turn: Turn, batch: Iterable[Line]) -> int:
    """Nobody else writes todos of this owner meanwhile, so those that are known can be looked up.

    An id may be that of a todo of the owner's own, or of one that is somebody else's, here or
    elsewhere: that one is not touched, and its line is added under an id of its own.
    """
    new: dict[str, Line] = {}
    ids: dict[UUID, str] = {}
    for line in batch:
        todo_id = _as_id(line.identity)
        key = f" {todo_id or line.identity}"  # of an id that was written in another way the same
        new[key] = line
        if todo_id:
            ids[todo_id] = key
    known = list_known(turn.owner.id, list(ids), list(new))
    for each in known:
        new.pop(ids.get(each, each), None)
    todos = [new_todo(turn, line.fields, key=key) for key, line in new.items()]
    if todos:
        TODOS.refuse_too_many(turn.owner.id, len(todos))
    Todo.objects.bulk_create(todos, batch_size=STATEMENT_TODOS)
    return len(todos)


def _as_id(identity: str) -> UUID | None:
    try:
        return UUID(identity)
    except ValueError:
        return None
