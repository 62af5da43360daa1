"""What EPIS_DATA alone tells."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from epis.embedded import locations as module
from epis.embedded.locations import Locations, secret_key
from tests.embedded.conftest import DATABASES

AS_ROOT = os.geteuid() == 0


class TestLocations:
    def test_are_the_same_for_everybody_who_is_given_the_folder(self, data: Path) -> None:
        one, other = Locations(data), Locations(data / ".." / data.name)

        assert one.broker_url == other.broker_url
        assert one.database("todos") == other.database("todos")

    def test_name_one_database_for_each_alias(self, data: Path) -> None:
        aliases = ("default", "todos", "counter")

        names = tuple(Locations(data).database(alias)["NAME"] for alias in aliases)

        assert names == DATABASES

    @pytest.mark.parametrize("name", ["a" * 200, "with, comma", "per%cent", "우유", "x" * 40])
    def test_keep_sockets_where_the_kernel_and_libpq_take_them(self, data: Path, name: str) -> None:
        found = Locations(data / name)

        for path in (found.valkey_socket, found.sockets / ".s.PGSQL.5432"):
            assert len(os.fsencode(path)) <= module.SOCKET_PATH_LIMIT
            assert module.PLAIN_PATH.fullmatch(str(path))

    def test_limit_is_what_the_kernel_takes(self, data: Path) -> None:
        path = f"{data}/".ljust(module.SOCKET_PATH_LIMIT, "x")

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)

    def test_tell_folders_apart(self, data: Path) -> None:
        one, other = Locations(data / ("a" * 200)), Locations(data / ("b" * 200))

        assert one.sockets != other.sockets
        assert one.name != other.name

    @pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as somebody else")
    def test_leave_a_folder_that_the_servers_user_cannot_reach(self, data: Path) -> None:
        closed = data / "closed"
        closed.mkdir(mode=0o700)

        assert Locations(closed / "var").servers.parent == module.OUT_OF_ROOTS_HOME
        assert Locations(data / "var").servers == data / "var" / "servers"

    @pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as somebody else")
    def test_stay_where_the_servers_are_after_a_chmod(self, data: Path) -> None:
        before = Locations(data).servers
        before.mkdir()

        data.chmod(0o700)

        assert Locations(data).servers == before


class TestCreateDataFolder:
    def test_lets_the_servers_user_pass_whatever_the_umask(self, data: Path) -> None:
        found = Locations(data / "one" / "two")
        before = os.umask(0o077)
        try:
            found.create_data_folder()
        finally:
            os.umask(before)

        assert found.servers == Locations(data / "one" / "two").servers
        assert (data / "one").stat().st_mode & 0o777 == 0o711
        assert found.logs.stat().st_mode & 0o777 == 0o700


class TestSecretKey:
    def test_is_kept_and_private(self, data: Path) -> None:
        first = secret_key(Locations(data))

        assert len(first) >= 50
        assert secret_key(Locations(data)) == first
        assert (data / "secret_key").stat().st_mode & 0o777 == 0o600
        assert [path.name for path in data.glob("secret_key*")] == ["secret_key"]

    def test_is_the_same_for_two_who_create_it_at_once(self, data: Path) -> None:
        found = Locations(data)
        found.create_data_folder()

        module._create_once(data / "secret_key", "the first one's")
        module._create_once(data / "secret_key", "the second one's")

        assert secret_key(found) == "the first one's"

    def test_ends_the_program_with_one_line_where_it_cannot_be_kept(self, data: Path) -> None:
        (data / "file").touch()
        code = (
            "from pathlib import Path; from epis.embedded.locations import *; "
            f"secret_key(Locations(Path({str(data / 'file' / 'var')!r})))"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "cannot use its data folder" in done.stderr
