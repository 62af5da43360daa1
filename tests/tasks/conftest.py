"""A broker to be emptied and killed, and workers as epis runs them, on the tests' databases."""

import base64
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from django.conf import settings
from django.db import connections

from apps.counter.watches import Watches
from epis.celery import app
from epis.embedded.locations import Locations
from epis.embedded.valkey import Valkey
from epis.processes import Program, signal_group
from epis.settings import DATABASE_URL_OF
from epis.supervisor import parts
from tasks import doorbells
from tests.planted import secrets_in
from tests.polling import wait_for

Process = subprocess.Popen[bytes]


class Broker:
    """A Valkey of its own."""

    def __init__(self, locations: Locations) -> None:
        self.locations = locations
        self.url = locations.broker_url
        self._server = Valkey(locations)
        self._client = redis.Redis(unix_socket_path=str(locations.valkey_socket))
        self._process: Process | None = None

    def start(self) -> None:
        self._process = self._server.prepare().start()
        wait_for("the broker serving", self._server.is_ready)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def forget_everything(self) -> None:
        self._client.flushall()

    def waiting(self, queue: str) -> int:
        """How many messages no worker has taken yet."""
        return int(self._client.llen(queue))

    def arguments_waiting(self, queue: str) -> list[dict[str, Any]]:
        """What those messages say, the newest first."""
        bodies = [json.loads(each)["body"] for each in self._client.lrange(queue, 0, -1)]
        return [json.loads(base64.b64decode(body))[1] for body in bodies]


class Worker:
    """Processes of epis other than the web server; killed as one, at the latest at the end."""

    def __init__(self, program: Program, is_ready: str) -> None:
        self._program = program
        self.process = program.start()
        wait_for(f"{program.log.stem} being ready", lambda: is_ready in self.log)

    @property
    def log(self) -> str:
        return self._program.log.read_text()

    def kill(self) -> None:
        """SIGKILL, to it and its children at once."""
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(autouse=True)
def no_promise_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a consumer of another test promised: that one looks no more."""
    monkeypatch.setattr("apps.counter.accepting._watches", Watches())


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Running, and what this process and the workers of the test ring through."""
    data = Path(tempfile.mkdtemp(prefix="epis-", dir="/tmp"))
    data.chmod(0o711)
    locations = Locations(data)
    locations.create_data_folder()
    broker = Broker(locations)
    broker.start()
    before = app.conf.broker_url
    ring_through(broker.url)
    yield broker
    ring_through(before)
    broker.kill()
    shutil.rmtree(data)


def ring_through(url: str) -> None:
    """Have this process ring another broker, with nothing of before still to be sent."""
    doorbells._ringer.close()
    doorbells._ringer = doorbells.Ringer()
    app.conf.update(broker_url=url)
    app._after_fork()  # type: ignore[attr-defined]  # forgets the connections that are open


@dataclasses.dataclass
class Crew:
    """Starts workers on the tests' databases, with the command that `manage.py up` uses."""

    broker: Broker
    started: list[Worker] = dataclasses.field(default_factory=list)

    def worker(self, queue: str, processes: int = 1, app: str = "epis") -> Worker:
        program = parts.worker(self.broker.locations, queue, processes).prepare()
        command = tuple(app if word == "epis" else word for word in program.command)
        return self._start(dataclasses.replace(program, command=command), is_ready=" ready.")

    def schedule(self) -> Worker:
        part = parts.schedule(self.broker.locations)
        return self._start(part.prepare(), is_ready="beat: Starting...")

    def _start(self, program: Program, is_ready: str) -> Worker:
        program.log.unlink(missing_ok=True)
        environment = {**program.environment, **environment_of_tests(self.broker)}
        worker = Worker(dataclasses.replace(program, environment=environment), is_ready)
        self.started.append(worker)
        return worker


@pytest.fixture
def crew(broker: Broker) -> Iterator[Crew]:
    crew = Crew(broker)
    yield crew
    for worker in reversed(crew.started):
        worker.kill()
        sys.stdout.write(worker.log)  # is shown where the test has failed
        assert secrets_in(worker.log) == []


def environment_of_tests(broker: Broker) -> dict[str, str]:
    """What tells another process to use the tests' databases and this broker."""
    urls = {variable: url_of(alias) for alias, variable in DATABASE_URL_OF.items()}
    return {
        **os.environ,
        **urls,
        "BROKER_URL": broker.url,
        "SECRET_KEY": settings.SECRET_KEY,
        "ALLOWED_HOSTS": "localhost",
        "EPIS_DATA": str(broker.locations.data),
        "SWEEP_SECONDS": "1",
    }


def url_of(alias: str) -> str:
    named = connections[alias].settings_dict
    user, password, host = (
        quote(str(named[part]), safe="") for part in ("USER", "PASSWORD", "HOST")
    )
    return f"postgres://{user}:{password}@{host}:{named['PORT']}/{named['NAME']}"
