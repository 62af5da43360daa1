"""Which todos of an owner have changed since somebody last asked."""

from typing import NamedTuple
from uuid import UUID

from django.db import connections

from apps.todos.errors import CursorTooOld
from apps.todos.models import Owner

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
