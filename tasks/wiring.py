"""Who reacts to what: every event of every app and the doorbell it rings."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from celery import Task
from django.conf import settings
from django.dispatch import Signal

from apps.counter import public as counter
from apps.counter.events import counter_deleted, increments_accepted
from apps.users.events import deletion_requested, password_reset_requested, user_changed
from tasks import celery_tasks as look
from tasks.doorbells import ring

REACTIONS: list[tuple[Signal, Task[..., Any]]] = [
    (counter_deleted, look.purge_deleted_counters),
    (user_changed, look.follow_changes),
    (deletion_requested, look.advance_deletions),
    (password_reset_requested, look.send_reset_codes),
]


def connect() -> None:
    """Connect them all. Called once, when Django has loaded the apps."""
    increments_accepted.connect(call_consumers, dispatch_uid="counter.apply_pending_increments")
    for event, task in REACTIONS:
        event.connect(_ringer(task), weak=False, dispatch_uid=task.name)


def call_consumers(*, counter_ids: Collection[UUID], **_: Any) -> None:
    """Each lane that one of the counters is in has a bell of its own."""
    for lane in {counter.lane_of(each, settings.COUNTER_LANES) for each in counter_ids}:
        ring(look.apply_pending_increments.name, lane=lane)


def _ringer(task: Task[..., Any]) -> Any:
    def on_event(**_: Any) -> None:
        ring(task.name)

    return on_event
