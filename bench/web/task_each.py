"""(c): one task for one increment, on a queue of its own.

No result is kept and the message is acknowledged before the task runs: faster, and safe enough
only for a benchmark.
"""

from kombu import Queue

from bench.web import storage
from epis.celery import app

QUEUE = "bench"

app.conf.task_queues = [*app.conf.task_queues, Queue(QUEUE, routing_key=QUEUE)]


@app.task(name="bench.count_one", queue=QUEUE, acks_late=False)
def count_one() -> None:
    storage.add_one(storage.CELERY)
