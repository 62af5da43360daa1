"""What is refused before anything starts, each with one line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from epis.embedded.ground import CannotStart
from epis.embedded.locations import Locations
from epis.supervisor.ground import demand_free_port, only_one

AS_ROOT = os.geteuid() == 0


class TestOnlyOne:
    def test_refuses_a_second_one_and_names_the_first(self, tmp_path: Path) -> None:
        locations = Locations(tmp_path)

        with (
            only_one(locations),
            pytest.raises(CannotStart, match=rf"already running on .* \(pid {os.getpid()}\)"),
            only_one(locations),
        ):
            pytest.fail("two at once")

    def test_takes_a_folder_over_from_one_that_was_killed(self, tmp_path: Path) -> None:
        code = (
            "import os; from pathlib import Path; from epis.embedded.locations import Locations\n"
            "from epis.supervisor.ground import only_one\n"
            f"with only_one(Locations(Path({str(tmp_path)!r}))): os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code], check=False)

        with only_one(Locations(tmp_path)):
            assert (tmp_path / "run" / "up.lock").read_text() == str(os.getpid())

    def test_leaves_other_folders_alone(self, tmp_path: Path) -> None:
        with only_one(Locations(tmp_path / "one")), only_one(Locations(tmp_path / "other")):
            pass

    def test_refuses_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with (
            pytest.raises(CannotStart, match="cannot write to the data folder"),
            only_one(Locations(tmp_path / "file" / "var")),
        ):
            pytest.fail("started")

    @pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
    def test_refuses_a_folder_that_may_not_be_written(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)

        with (
            pytest.raises(CannotStart, match="cannot write to the data folder"),
            only_one(Locations(tmp_path)),
        ):
            pytest.fail("started")


class TestDemandFreePort:
    def test_refuses_a_taken_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            with pytest.raises(CannotStart, match=f"port {port} cannot be used"):
                demand_free_port("127.0.0.1", port)

    def test_takes_a_port_that_was_in_use_a_moment_ago(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            client = socket.create_connection(("127.0.0.1", port))
            accepted, _ = server.accept()
            accepted.close()
            client.close()

        demand_free_port("127.0.0.1", port)
