"""Data folders of their own, and servers that are ended with the test."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from epis.embedded.locations import Locations
from epis.embedded.postgres import Postgres
from epis.embedded.valkey import Valkey
from tests.polling import wait_for

Process = subprocess.Popen[bytes]
DATABASES = ("epis_users", "epis_todos", "epis_counter")


@pytest.fixture
def data() -> Iterator[Path]:
    """Not tmp_path: that is too long for sockets, and closed to the servers' user."""
    folder = Path(tempfile.mkdtemp(prefix="epis-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def locations(data: Path) -> Iterator[Locations]:
    yield from _prepared(Locations(data))


@pytest.fixture
def deep_locations(data: Path) -> Iterator[Locations]:
    """Below a path that is too long for sockets."""
    yield from _prepared(Locations(data / ("long" * 40)))


def _prepared(found: Locations) -> Iterator[Locations]:
    found.create_data_folder()
    yield found
    shutil.rmtree(found.sockets, ignore_errors=True)


@pytest.fixture
def start() -> Iterator[Callable[[Postgres | Valkey], Process]]:
    """Starts a server and waits until it serves."""
    processes = []

    def start_one(server: Postgres | Valkey) -> Process:
        program = server.prepare()
        process = program.start()
        processes.append(process)

        def serves() -> bool:
            assert process.poll() is None, program.log.read_text()
            return server.is_ready()

        wait_for(f"{server.name} serving", serves)
        return process

    yield start_one

    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
