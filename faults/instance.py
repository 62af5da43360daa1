"""An epis of one's own, kept up from outside.

What an init system would do is done here: a supervisor that was killed is started again.
"""

import signal
import subprocess  # nosec B404
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import psycopg

from epis.embedded.ground import processes_in
from epis.embedded.postgres import Postgres
from epis.processes import has_ended, signal_group
from epis.supervisor.leftovers import end_leftovers
from faults.clock import Clock
from faults.disk import SmallDisk
from faults.ending import undisturbed
from faults.errors import CannotRun
from faults.processes import SUPERVISOR, Family, family_of
from faults.proxy import Proxies, Proxy
from harness.installation import IS_UP, PROJECT, START_SECONDS, STOP_SECONDS, Installation

CONTROL_TABLES = {
    "counter": """
        CREATE TABLE control_tick (number text);
        CREATE TABLE control_counter AS SELECT 0 AS value;
        CREATE TABLE control_row (account text)
    """,
    "todos": "CREATE TABLE control_row (account text)",
    "default": """
        CREATE TABLE control_account (
            name text PRIMARY KEY, gone boolean DEFAULT false, deleted int
        )
    """,
}


class Instance(Installation):
    """One running epis. Use as a context: leaving it ends everything and removes the folder.

    To be used from the main thread: what it starts ends with the thread that started it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        grace: int = 1,
        lanes: int = 1,
        proxied: bool = False,
        own_clock: bool = False,
        mutant: str = "",
    ) -> None:
        super().__init__(
            folder,
            "faults",
            DJANGO_SETTINGS_MODULE="faults.settings",
            SIGN_IN_TRIES_PER_MINUTE="1000000",
            DELETION_GRACE_SECONDS=str(grace),
            COUNTER_LANES=str(lanes),
            FAULTS_MUTANT=mutant,
        )
        self.disk = SmallDisk(self.locations)
        self.clock = Clock(self.data)
        self._own_clock = own_clock
        self.proxies: dict[str, Proxy] = {}
        if proxied:
            self._put_proxies_in_between()
        self._up: subprocess.Popen[bytes] | None = None
        self._beside: dict[str, subprocess.Popen[bytes]] = {}
        self._kept: dict[str, tuple[str, ...]] = {}

    def _put_proxies_in_between(self) -> None:
        proxies = Proxies()
        postgres = self.locations.sockets / ".s.PGSQL.5432"
        self.proxies = {
            "web": proxies.to(self.port),
            "database": proxies.to(postgres),
            "broker": proxies.to(self.locations.valkey_socket),
        }
        self.port = self.proxies["web"].port
        self.environment["FAULTS_DATABASE_PORT"] = str(self.proxies["database"].port)
        self.environment["FAULTS_BROKER_PORT"] = str(self.proxies["broker"].port)

    def start_all(self) -> None:
        if self._own_clock:
            self.environment |= self.clock.put_in()
        self.disk.mount()
        self._start_up()
        self.wait_until("epis being up", self.is_up)
        for alias, statements in CONTROL_TABLES.items():
            self.databases[alias].execute(statements)
        self.keep_beside("control", *worker("faults.control.tasks", "control"))

    # --- running ----------------------------------------------------------------------

    @property
    def supervisor(self) -> psutil.Process:
        return psutil.Process(self._running.pid)

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._up is None:
            raise CannotRun("epis is not running")
        return self._up

    def family(self) -> Family:
        """The living processes of every part."""
        if has_ended(self._running):
            return {}
        return family_of(self.supervisor)

    def beside(self, name: str) -> list[psutil.Process]:
        """A program that runs beside epis, and its children."""
        process = self._beside.get(name)
        if process is None or has_ended(process):
            return []
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]

    def keep(self) -> None:
        """Start again what has ended and was to stay."""
        if has_ended(self._running):
            self._start_up()
        for name, command in self._kept.items():
            if name not in self._beside or has_ended(self._beside[name]):
                self.start_beside(name, *command)

    def keep_beside(self, name: str, *command: str) -> None:
        """Run a Python program beside epis for as long as epis runs."""
        self._kept[name] = command
        self.start_beside(name, *command)

    def start_beside(self, name: str, *command: str) -> None:
        self._beside[name] = self.program(name, *command).start()

    def end_beside(self, name: str) -> None:
        process = self._beside.pop(name, None)
        if process is not None:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()

    def is_up(self) -> bool:
        """Whether it has said so since it was last started."""
        if has_ended(self._running):
            raise CannotRun(f"epis did not start: {self._said_since_start()[-500:]}")
        return IS_UP in self._said_since_start()

    def _said_since_start(self) -> str:
        return self.said("up").rpartition("\f")[2]

    def wait_until(self, what: str, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not look():
            if time.monotonic() > deadline:
                raise CannotRun(f"{what}: not seen within {START_SECONDS} s")
            time.sleep(0.02)

    def manage(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A command in another terminal."""
        return subprocess.run(  # noqa: S603  # nosec B603
            [sys.executable, "manage.py", *words],
            cwd=PROJECT,
            env=self.environment | {"FAULTS_MUTANT": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )

    def _start_up(self) -> None:
        with (self.data / "up.out").open("a") as output:
            output.write("\f")
        self._up = self.program("up", "manage.py", "up").start()

    # --- the databases, past epis -----------------------------------------------------

    @cached_property
    def databases(self) -> "Mapping[str, psycopg.Connection[Any]]":
        """A connection to each; they do not outlive a fault of PostgreSQL."""
        return {alias: self.connect(alias) for alias in ("default", "todos", "counter")}

    def connect_anew(self) -> None:
        for connection in self.__dict__.pop("databases", {}).values():
            connection.close()

    # --- the end ----------------------------------------------------------------------

    def close(self) -> None:
        """End what was started, the last first, and leave nothing behind."""
        with undisturbed():
            self._close()

    def _close(self) -> None:
        self.connect_anew()
        self._wake_all()
        for name in list(self._beside):
            self.end_beside(name)
        if self._up is not None and not has_ended(self._up):
            self._up.send_signal(signal.SIGTERM)
            try:
                self._up.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                signal_group(self._up.pid, signal.SIGKILL)
                self._up.wait()
        end_leftovers(self.data)
        for name in ("valkey", "postgres"):
            for process in processes_in(self.locations.servers / name, name):
                process.kill()
        try:
            self._clear_shared_memory()
        finally:
            self.disk.unmount()
            self.remove()

    def _clear_shared_memory(self) -> None:
        """A PostgreSQL that was killed has left some, outside of the folder.

        The next one clears it when it starts, so there has to be one more.
        """
        if not (self.locations.servers / "postgres" / "postmaster.pid").exists():
            return
        server = Postgres(self.locations, ())
        process = server.prepare().start()
        try:
            self.wait_until(
                "PostgreSQL, to end in order", lambda: has_ended(process) or server.is_ready()
            )
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
        finally:
            if not has_ended(process):
                process.kill()
                process.wait()

    def _wake_all(self) -> None:
        """What is frozen could not end."""
        if self._up is None:
            return
        family = self.family()
        for part in (SUPERVISOR, *(part for part in family if part != SUPERVISOR)):
            for process in family.get(part, ()):
                try:
                    process.resume()
                except psutil.NoSuchProcess:
                    continue


def worker(application: str, queue: str) -> tuple[str, ...]:
    """The command of a Celery worker with one process, as epis starts its consumer."""
    return (
        *("-m", "celery", "-A", application, "worker", "--queues", queue, "--concurrency", "1"),
        *("--hostname", f"{queue}@beside", "--without-gossip", "--without-mingle"),
    )
