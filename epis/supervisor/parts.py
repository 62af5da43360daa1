"""The parts of epis and how each is run. All about processes on one screen."""

import http.client
import os
import sys
from functools import partial

from django.conf import settings

from epis.celery import BACKGROUND_QUEUE, counter_queue
from epis.embedded.locations import Locations
from epis.embedded.postgres import Postgres
from epis.embedded.valkey import Valkey
from epis.processes import Program
from epis.supervisor.child import Part
from epis.supervisor.leftovers import MARK

HOST = "127.0.0.1"
# Longer than any request may take; a web worker that is still busy then is killed.
WEB_STOP_SECONDS = 30


def database_server(locations: Locations) -> Part:
    names = [database["NAME"] for database in settings.DATABASES.values()]
    server = Postgres(locations, names)
    return Part(name=server.name, prepare=server.prepare, is_ready=server.is_ready)


def broker(locations: Locations) -> Part:
    server = Valkey(locations)
    return Part(name=server.name, prepare=server.prepare, is_ready=server.is_ready)


def web(locations: Locations) -> Part:
    command = (
        *("granian", "--interface", "wsgi", "--host", HOST, "--port", str(settings.PORT)),
        *("--workers", str(settings.WEB_WORKERS)),
        *("--blocking-threads", str(settings.WEB_THREADS)),
        *("--respawn-failed-workers", "--respawn-interval", "0.5"),
        *("--workers-kill-timeout", str(WEB_STOP_SECONDS), "--no-ws", "--http", "1"),
        *("--factory", "epis.wsgi:web_process"),
    )
    return Part(
        name="web",
        prepare=partial(_python, "web", locations, command),
        is_ready=_web_answers,
    )


def worker(locations: Locations, queue: str, processes: int) -> Part:
    """Restarted after the broker: what a worker had not acknowledged comes back only then."""
    command = (
        *("celery", "-A", "epis", "worker", "--queues", queue, "--concurrency", str(processes)),
        # Unique where several folders, or machines, share one broker.
        *("--hostname", f"{queue}@%h-{locations.name}"),
        *("--loglevel", settings.LOG_LEVEL, "--without-gossip", "--without-mingle"),
    )
    return Part(
        name=queue,
        prepare=partial(_python, queue, locations, command),
        follows=Valkey.name,
    )


def workers(locations: Locations) -> list[Part]:
    consumers = [worker(locations, counter_queue(n), 1) for n in range(settings.COUNTER_LANES)]
    return [*consumers, worker(locations, BACKGROUND_QUEUE, 2)]


def schedule(locations: Locations) -> Part:
    command = (
        *("celery", "-A", "epis", "beat", "--loglevel", settings.LOG_LEVEL),
        *("--schedule", str(locations.run / "schedule")),
    )
    return Part(
        name="schedule",
        prepare=partial(_python, "schedule", locations, command),
        follows=Valkey.name,
    )


def _python(name: str, locations: Locations, command: tuple[str, ...]) -> Program:
    data = str(locations.data)
    return Program(
        command=(sys.executable, "-m", *command),
        folder=settings.BASE_DIR,
        environment={**os.environ, "EPIS_DATA": data, MARK: data},
        log=locations.logs / f"{name}.log",
    )


def _web_answers() -> bool:
    """Any answer will do: the parts behind it tell of themselves at /health/ready."""
    connection = http.client.HTTPConnection(HOST, settings.PORT, timeout=1)
    try:
        connection.request("GET", "/health/live")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
