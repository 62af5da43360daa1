"""The tasks: each looks once, by calling one function, and asks for another look if need be."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings

from apps.counter import public as counter
from apps.todos import public as todos
from apps.users import public as users
from tasks import cascade, following, reconciling
from tasks.doorbells import ring


@shared_task(name="counter.apply_pending_increments")
def apply_pending_increments(*, lane: int = 0) -> None:
    if counter.keep_applying(lane=lane, lanes=settings.COUNTER_LANES):
        ring("counter.apply_pending_increments", lane=lane)


@shared_task(name="counter.purge_deleted_counters")
def purge_deleted_counters() -> None:
    if counter.purge_deleted_counters():
        ring("counter.purge_deleted_counters")


@shared_task(name="users.follow_changes")
def follow_changes() -> None:
    if following.follow_changes():
        ring("users.follow_changes")


# A look is short, but for what takes its time once: counting what a user has, millions perhaps.
@shared_task(name="users.advance_deletions", soft_time_limit=600, time_limit=660)
def advance_deletions() -> None:
    if cascade.advance_deletions():
        ring("users.advance_deletions")


# It pages through every owner, so it is given more time than a look.
@shared_task(name="users.reconcile", soft_time_limit=3600, time_limit=3660)
def reconcile() -> None:
    reconciling.reconcile()


@shared_task(name="users.send_reset_codes")
def send_reset_codes() -> None:
    if users.send_reset_codes():
        ring("users.send_reset_codes")


@shared_task(name="users.clear_expired_sign_ins")
def clear_expired_sign_ins() -> None:
    users.clear_expired_sign_ins()


@shared_task(name="todos.sweep_trash")
def sweep_trash() -> None:
    if todos.sweep_trash(older_than=timedelta(days=settings.TRASH_DAYS)):
        ring("todos.sweep_trash")
