"""The Celery app: queues, routes, schedule, and what a worker keeps from one task to the next.

Nothing here is what makes epis correct. A message says only "look again", so it may be
lost, doubled or late; the settings below make it fast and keep a bad day short.
"""

import os
from datetime import timedelta
from typing import Any

import psycopg
from celery import Celery, bootsteps, states
from celery.signals import task_postrun, task_prerun
from django.conf import settings
from django.db import close_old_connections, connections
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "epis.settings")

app = Celery("epis", include=["tasks.celery_tasks"])
app.set_default()  # for every thread, not only the one that imports this

BACKGROUND_QUEUE = "background"
LOOK_FOR_DEAD_SECONDS = 0.5
TASKS_OF_A_SESSION = 100  # for what it remembers of tables and statements takes memory


class ReplaceDeadChildren(bootsteps.StartStopStep):
    """A worker's child that was killed is replaced soon.

    Celery looks when the pipe to a child closes. By then the kernel may not have let go of the
    child yet, and the next look would come after five seconds.
    """

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def start(self, worker: Any) -> None:
        worker.timer.call_repeatedly(LOOK_FOR_DEAD_SECONDS, worker.pool.maintain_pool)


app.steps["worker"].add(ReplaceDeadChildren)


@task_prerun.connect
def replace_ended_sessions(**_: Any) -> None:
    close_old_connections()


@task_postrun.connect
def leave_nothing_behind(state: str, **_: Any) -> None:
    """End the sessions of a task that broke off: it may have left a lock in them, or a setting.

    Of others the plans end. One that was made for good while a table was empty reads all of it
    for each row of another, also once there are thousands.
    """
    if state != states.SUCCESS:
        connections.close_all()
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            try:
                connection.connection.execute("DISCARD PLANS")
            except psycopg.Error:
                connection.close()


def counter_queue(lane: int) -> str:
    """The queue of a lane of counters: for one consumer, with one process."""
    return f"counter-{lane}" if lane else "counter"


def route(name: str, args: object, kwargs: dict[str, int], *rest: object, **options: object) -> Any:
    """Which queue a task goes to."""
    if name == "counter.apply_pending_increments":
        return {"queue": counter_queue(kwargs.get("lane", 0))}
    return {"queue": BACKGROUND_QUEUE}


def every(seconds: float) -> dict[str, object]:
    """A schedule entry's timing. A look nobody took in time is not worth taking later."""
    return {"schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}


def configure() -> None:
    sweep = settings.SWEEP_SECONDS
    lanes = range(settings.COUNTER_LANES)
    queues = [*map(counter_queue, lanes), BACKGROUND_QUEUE]
    # By default Celery ends all sessions before and after each task. To open those with three
    # databases takes a worker as long as many a task.
    app.conf.CELERY_DB_REUSE_MAX = TASKS_OF_A_SESSION
    app.conf.update(
        broker_url=settings.BROKER_URL,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            # By default a broker that hangs would hold its callers for ever. A worker's
            # blocking reads take a second each, so none of them is cut short.
            "socket_timeout": 10,
            "socket_connect_timeout": 2,
            # By default six seconds of retries; the doorbells' thread makes its own.
            "max_retries": 0,
        },
        task_queues=[Queue(name, routing_key=name) for name in queues],
        task_default_queue=BACKGROUND_QUEUE,
        task_create_missing_queues=False,
        task_routes=[route],
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=60,
        task_time_limit=90,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        timezone="UTC",
        beat_scheduler="epis.schedule:Schedule",
        beat_schedule={
            **{
                f"apply-increments-{lane}": {
                    "task": "counter.apply_pending_increments",
                    "kwargs": {"lane": lane},
                    **every(sweep),
                }
                for lane in lanes
            },
            "purge-deleted-counters": {"task": "counter.purge_deleted_counters", **every(sweep)},
            "follow-users": {"task": "users.follow_changes", **every(sweep)},
            "advance-deletions": {"task": "users.advance_deletions", **every(sweep)},
            "send-reset-codes": {"task": "users.send_reset_codes", **every(sweep)},
            "reconcile": {"task": "users.reconcile", **every(600)},
            "sweep-trash": {"task": "todos.sweep_trash", **every(600)},
            "clear-expired-sign-ins": {"task": "users.clear_expired_sign_ins", **every(3600)},
        },
    )


configure()
