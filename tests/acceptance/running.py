"""epis as a person runs it: `manage.py up` on a folder and a port of its own, over HTTP."""

import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.polling import wait_for
from tests.racing import in_thread

PROJECT = Path(__file__).resolve().parents[2]
SECONDS_TO_START = 90
SECONDS_TO_STOP = 90
SECONDS_TO_KEEP_IDLE = 5


@dataclass
class Answer:
    """What the web server said."""

    status: int
    headers: http.client.HTTPMessage
    body: Any


@dataclass
class Running:
    """A running epis: its processes, and its web server."""

    process: psutil.Process
    port: int
    data: Path
    _local: threading.local = field(default_factory=threading.local)
    _connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Answer:
        """One request, on a connection that the thread keeps; never sent a second time."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        sent = None if body is None else json.dumps(body)
        connection = self._connection()
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        text = answer.read()
        self._local.used_at = time.monotonic()
        return Answer(answer.status, answer.headers, json.loads(text) if text else None)

    def _connection(self) -> http.client.HTTPConnection:
        """A new one after a while: the server closes those that are idle for long."""
        idle_since = getattr(self._local, "used_at", -math.inf)
        if time.monotonic() - idle_since > SECONDS_TO_KEEP_IDLE:
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self._connections.append(self._local.connection)
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    def hang_up(self) -> None:
        """Close the connections of all threads."""
        for connection in self._connections:
            connection.close()

    def register(self, username: str) -> "Account":
        sent = {"username": username, "password": "correct horse battery"}
        user = self.call("POST", "/api/users/", sent)
        assert user.status == 201, user
        return Account(self, user.body["id"], self.sign_in(username).body["token"])

    def sign_in(self, username: str) -> Answer:
        sent = {"username": username, "password": "correct horse battery"}
        return self.call("POST", "/api/auth/tokens/", sent)

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in another terminal."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=PROJECT,
            env=os.environ | {"EPIS_DATA": str(self.data)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def processes(self, mark: str) -> list[psutil.Process]:
        """Those of its processes whose command line contains `mark`."""
        found = []
        for child in self.process.children(recursive=True):
            with suppress(psutil.Error):
                if mark in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def kill(self, mark: str) -> int:
        """SIGKILL them and wait until they are gone; says how many there were.

        A process still dying would pass for the next life that somebody waits for.
        """
        killed = self.processes(mark)
        for process in killed:
            with suppress(psutil.Error):
                process.kill()
        _, lingering = psutil.wait_procs(killed, timeout=SECONDS_TO_STOP)
        assert not lingering, lingering
        return len(killed)

    @contextmanager
    def kept_dead(self, mark: str) -> Iterator[None]:
        """Kill them again as often as the supervisor restarts them."""
        over = threading.Event()

        def keep_killing() -> None:
            while not over.wait(0.02):
                self.kill(mark)

        killer = in_thread(keep_killing)
        try:
            yield
        finally:
            over.set()
            killer.result(SECONDS_TO_STOP)


@dataclass(frozen=True)
class Account:
    """A signed-in account."""

    epis: Running
    id: str
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        return self.epis.call(method, path, body, self.token)


@contextmanager
def epis_up(data: Path, log: Path) -> Iterator[Running]:
    """Start epis, wait until it answers, and stop it in the end, with nothing left behind."""
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("_DATABASE_URL")
    } | {"EPIS_DATA": str(data), "PORT": str(port), "SIGN_IN_TRIES_PER_MINUTE": "1000"}
    with log.open("w") as output:
        up = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=PROJECT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Running(psutil.Process(up.pid), port, data)
    family: list[psutil.Process] = []
    try:
        wait_for(
            f"epis being up: {log.read_text()}",
            lambda: "epis is up" in log.read_text() or up.poll() is not None,
            seconds=SECONDS_TO_START,
        )
        assert up.poll() is None, log.read_text()
        yield running
        running.hang_up()
        family = running.process.children(recursive=True)
    finally:
        died = up.poll() is not None
        up.send_signal(signal.SIGINT)
        up.wait(SECONDS_TO_STOP)
    assert not died, log.read_text()
    wait_for("every process gone", lambda: not any(p.is_running() for p in family))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
