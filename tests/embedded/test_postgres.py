"""What the embedded PostgreSQL has to survive."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from epis import processes
from epis.embedded import ground, postgres
from epis.embedded.locations import Locations
from epis.embedded.postgres import Postgres
from tests.embedded.conftest import DATABASES, Process
from tests.polling import wait_for

Start = Callable[[Postgres], Process]

PROJECT = Path(__file__).resolve().parents[2]
PREPARE = """
import sys
from pathlib import Path
from epis.embedded.locations import Locations
from epis.embedded.postgres import Postgres
server = Postgres(Locations(Path(sys.argv[1])), (), fsync=False)
"""
START_AND_WAIT_TO_BE_KILLED = PREPARE + "server.prepare().start(); print(flush=True); input()"


def connect(locations: Locations, alias: str = "default") -> psycopg.Connection:
    named = locations.database(alias)
    return psycopg.connect(
        host=named["HOST"],
        port=named["PORT"],
        user=named["USER"],
        dbname=named["NAME"],
        autocommit=True,
    )


def trigrams(locations: Locations, text: str) -> list[str]:
    with connect(locations, "todos") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        (found,) = connection.execute("SELECT show_trgm(%s)", [text]).fetchone() or ([],)
        return list(found)


class TestStart:
    def test_serves_its_databases_on_a_unix_socket_only(
        self, locations: Locations, start: Start
    ) -> None:
        process = start(Postgres(locations, DATABASES, fsync=False))

        with connect(locations) as one, connect(locations, "todos"), connect(locations, "counter"):
            assert one.execute("SHOW listen_addresses").fetchone() == ("",)
        assert not psutil.Process(process.pid).net_connections(kind="inet")

    def test_never_runs_as_root(self, locations: Locations, start: Start) -> None:
        process = start(Postgres(locations, DATABASES, fsync=False))

        assert psutil.Process(process.pid).uids().real != 0

    def test_syncs_unless_told_otherwise(self, locations: Locations, start: Start) -> None:
        start(Postgres(locations, DATABASES))

        with connect(locations) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)

    @pytest.mark.skipif(sys.platform != "linux", reason="no other system has syncfs")
    def test_flushes_all_files_at_once_behind_a_crash(
        self, locations: Locations, start: Start
    ) -> None:
        start(Postgres(locations, DATABASES))

        with connect(locations) as connection:
            assert connection.execute("SHOW recovery_init_sync_method").fetchone() == ("syncfs",)

    def test_survives_a_callers_locale_and_postgres_variables(
        self, locations: Locations, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in {
            "LC_ALL": "xx_NOWHERE",
            "LANG": "xx_NOWHERE",
            "PGPORT": "bogus",
            "PGDATA": "/nowhere",
            "PGHOST": "nowhere.invalid",
        }.items():
            monkeypatch.setenv(name, value)

        start(Postgres(locations, DATABASES, fsync=False))

        assert trigrams(locations, "milk")

    def test_works_below_a_path_too_long_for_a_socket(
        self, deep_locations: Locations, start: Start
    ) -> None:
        start(Postgres(deep_locations, DATABASES, fsync=False))

        with connect(deep_locations) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

    def test_refuses_a_socket_folder_that_somebody_else_has_put_there(
        self, locations: Locations, data: Path
    ) -> None:
        locations.servers.mkdir()
        (data / "elsewhere").mkdir()
        locations.sockets.symlink_to(data / "elsewhere")

        with pytest.raises(ground.CannotStart, match="belongs to somebody else"):
            Postgres(locations, DATABASES).prepare()

        locations.sockets.unlink()


class TestTrigrams:
    def test_see_letters_of_any_language(self, locations: Locations, start: Start) -> None:
        start(Postgres(locations, DATABASES, fsync=False))

        assert trigrams(locations, "우유를 사다")

    def test_would_see_none_with_a_plain_c_locale(
        self, locations: Locations, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = tuple(o for o in postgres.INITDB_OPTIONS if not o.startswith("--lc-ctype"))
        monkeypatch.setattr(postgres, "INITDB_OPTIONS", plain)

        start(Postgres(locations, DATABASES, fsync=False))

        assert not trigrams(locations, "우유를 사다")


class TestStartAgain:
    def test_keeps_what_was_committed_before_a_kill(
        self, locations: Locations, start: Start
    ) -> None:
        first = start(Postgres(locations, DATABASES))
        with connect(locations) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
            first.kill()
            first.wait()

        start(Postgres(locations, DATABASES))

        with connect(locations) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)

    def test_ends_the_backends_of_a_killed_postmaster(
        self, locations: Locations, start: Start
    ) -> None:
        first = start(Postgres(locations, DATABASES, fsync=False))
        busy = connect(locations)
        backend = psutil.Process(busy.info.backend_pid)
        # Deaf to the postmaster's death: it neither sleeps nor talks to its client.
        busy.pgconn.send_query(b"DO 'BEGIN LOOP END LOOP; END'")
        first.kill()
        first.wait()

        start(Postgres(locations, DATABASES, fsync=False))

        busy.close()
        wait_for("the end of the backend", lambda: not backend.is_running())

    def test_replaces_an_orphan(
        self, locations: Locations, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "LIBC", None)
        orphan = start(Postgres(locations, DATABASES, fsync=False))

        start(Postgres(locations, DATABASES, fsync=False))

        assert orphan.poll() == 0

    def test_replaces_an_orphan_that_does_not_end_in_order(
        self, locations: Locations, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres, "ORDERLY_SECONDS", 0.5)
        monkeypatch.setattr(postgres, "PATIENCE_SECONDS", 0.5)
        orphan = start(Postgres(locations, DATABASES, fsync=False))
        orphan.send_signal(signal.SIGSTOP)

        start(Postgres(locations, DATABASES, fsync=False))

        assert orphan.poll() == -signal.SIGKILL

    def test_is_not_fooled_by_lock_files_that_name_a_stranger(
        self, locations: Locations, start: Start
    ) -> None:
        first = start(Postgres(locations, DATABASES, fsync=False))
        pid_file = locations.servers / "postgres" / "postmaster.pid"
        socket_lock = locations.sockets / ".s.PGSQL.5432.lock"
        kept = {path: path.read_text() for path in (pid_file, socket_lock)}
        first.kill()
        first.wait()
        # PostgreSQL takes a stranger for another postmaster only if it runs as the same user.
        stranger = subprocess.Popen(["sleep", "60"], **processes.run_as(ground.servers_account()))
        for path, text in kept.items():
            path.write_text(text.replace(str(first.pid), str(stranger.pid)))

        start(Postgres(locations, DATABASES, fsync=False))

        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()

    def test_makes_the_databases_that_a_killed_first_start_did_not_come_to(
        self, locations: Locations, start: Start
    ) -> None:
        start(Postgres(locations, DATABASES, fsync=False))
        with connect(locations) as connection:
            connection.execute("DROP DATABASE epis_counter")

        assert Postgres(locations, DATABASES, fsync=False).is_ready()

        connect(locations, "counter").close()


class TestKilledStarter:
    def test_takes_the_server_with_it(self, locations: Locations) -> None:
        starter = subprocess.Popen(
            [sys.executable, "-c", START_AND_WAIT_TO_BE_KILLED, locations.data],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert starter.stdout
        assert starter.stdout.readline() == b"\n"
        cluster = locations.servers / "postgres"
        assert list(ground.processes_in(cluster, "postgres"))

        starter.kill()
        starter.communicate()

        if sys.platform == "linux":
            wait_for("the end of PostgreSQL", lambda: not _at_work_in(cluster))

    def test_halfway_through_initdb_leaves_nothing_that_looks_complete(
        self, locations: Locations, start: Start
    ) -> None:
        unfinished = locations.servers / "postgres.new"
        starter = subprocess.Popen(
            [sys.executable, "-c", PREPARE + "server.prepare()", locations.data], cwd=PROJECT
        )
        wait_for("initdb at work", lambda: (unfinished / "PG_VERSION").exists())

        starter.kill()
        starter.wait()

        assert unfinished.exists()
        start(Postgres(locations, DATABASES, fsync=False))
        assert not unfinished.exists()


def _at_work_in(cluster: Path) -> bool:
    return any(ground.processes_in(cluster, "postgres"))
