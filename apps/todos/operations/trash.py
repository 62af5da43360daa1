"""The sweep of the trash: what was deleted so long ago goes for good, with its history."""

from datetime import timedelta

from django.db import connections
from django.utils import timezone

from apps.todos.models import Todo
from apps.todos.owners import TODOS
from kit.transactions import durable

CHUNK_TODOS = 500

# Owners are locked first, as by everybody who writes their todos, and in the order of their ids.
# Those who are being deleted are left to that: it has counted what they have.
LOCK_OWNERS = """
SELECT id FROM todos_owner WHERE id = ANY(%(owners)s) AND tombstoned_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""

# What was restored meanwhile has another `deleted_at`, or none.
SWEEP = """
WITH gone AS (
    DELETE FROM todos_todo
    WHERE id = ANY(%(todos)s) AND owner_id = ANY(%(owners)s) AND deleted_at < %(before)s
    RETURNING id
), forgotten AS (
    DELETE FROM todos_change USING gone WHERE todo_id = gone.id
    RETURNING owner_id, position
), latest AS (
    SELECT owner_id, max(position) AS position FROM forgotten GROUP BY owner_id
)
UPDATE todos_owner AS owner SET swept_position = greatest(swept_position, latest.position)
FROM latest WHERE owner.id = latest.owner_id
"""


def sweep_trash(*, older_than: timedelta) -> bool:
    """Remove a chunk of what was deleted longer ago than this. True if there is more."""
    before = timezone.now() - older_than
    old = Todo.objects.filter(deleted_at__lt=before, owner__tombstoned_at=None)
    chunk = list(old.order_by("deleted_at").values_list("id", "owner_id")[:CHUNK_TODOS])
    if not chunk:
        return False
    asked = {"owners": list({owner_id for _, owner_id in chunk})}
    with durable(TODOS.alias), connections[TODOS.alias].cursor() as cursor:
        cursor.execute(LOCK_OWNERS, asked)
        alive = [owner_id for (owner_id,) in cursor.fetchall()]
        todos = [todo_id for todo_id, _ in chunk]
        cursor.execute(SWEEP, {"todos": todos, "owners": alive, "before": before})
    return len(chunk) == CHUNK_TODOS
