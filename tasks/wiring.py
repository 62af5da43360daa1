"""Who reacts to what: every event of every app and the doorbell it rings."""

from typing import Any

from celery import Task
from django.dispatch import Signal

from apps.counter.events import counter_deleted, increment_accepted
from apps.users.events import deletion_requested, user_changed
from tasks import celery_tasks as look
from tasks.doorbells import ring

REACTIONS: list[tuple[Signal, Task[..., Any]]] = [
    (increment_accepted, look.apply_pending_increments),
    (counter_deleted, look.purge_deleted_counters),
    (user_changed, look.follow_changes),
    (deletion_requested, look.advance_deletions),
]


def connect() -> None:
    """Connect them all. Called once, when Django has loaded the apps."""
    for event, task in REACTIONS:
        event.connect(_ringer(task), weak=False, dispatch_uid=task.name)


def _ringer(task: Task[..., Any]) -> Any:
    def on_event(**_: Any) -> None:
        ring(task.name)

    return on_event
