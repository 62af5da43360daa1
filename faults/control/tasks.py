"""One task for one increment, one task for one deletion, on a queue of their own."""

from django.db import connections
from kombu import Queue

from epis.celery import app

QUEUE = "control"

app.conf.task_queues = [*app.conf.task_queues, Queue(QUEUE, routing_key=QUEUE)]


@app.task(name="control.count_one", queue=QUEUE, acks_late=True, reject_on_worker_lost=True)
def count_one(*, number: str) -> None:
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            """
            WITH counted AS (INSERT INTO control_tick (number) VALUES (%s))
            UPDATE control_counter SET value = value + 1
            """,
            [number],
        )


@app.task(name="control.delete_account", queue=QUEUE, acks_late=True, reject_on_worker_lost=True)
def delete_account(*, name: str) -> None:
    deleted = 0
    for alias in ("todos", "counter"):
        with connections[alias].cursor() as cursor:
            cursor.execute("DELETE FROM control_row WHERE account = %s", [name])
            deleted += cursor.rowcount
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "UPDATE control_account SET gone = true, deleted = %s WHERE name = %s", [deleted, name]
        )
