"""The servers that the tests use, started before anything reads Django's settings.

Loaded with `-p tests.servers`. The process that was started by hand, not xdist's workers,
makes a data folder for this one run, starts PostgreSQL and Valkey there, and ends both and
removes the folder when the run ends, however it ends. Where servers are named in the
environment those are used and nothing is started.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from epis.embedded.postgres import Postgres
    from epis.embedded.valkey import Valkey
    from epis.processes import Program

START_SECONDS = 60


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """A wrapper, because pytest-django reads the settings in this same hook."""
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        _start_servers(early_config)
    return (yield)


def _start_servers(config: pytest.Config) -> None:
    # Short, for the sockets' paths; and to be passed through by the servers' user.
    data = Path(tempfile.mkdtemp(prefix="epis-tests-", dir="/tmp"))
    data.chmod(0o711)
    config.add_cleanup(lambda: shutil.rmtree(data))
    os.environ["EPIS_DATA"] = str(data)

    # Not at the top of the file: the settings read EPIS_DATA when they are imported.
    from epis import settings
    from epis.embedded.locations import Locations
    from epis.embedded.postgres import Postgres
    from epis.embedded.valkey import Valkey

    if settings.SERVERS_ARE_NAMED:
        return
    locations = Locations(data)
    locations.create_data_folder()
    names = [database["NAME"] for database in settings.DATABASES.values()]
    for server in (Postgres(locations, names, fsync=False), Valkey(locations)):
        _start(server, config)


def _start(server: "Postgres | Valkey", config: pytest.Config) -> None:
    program = server.prepare()
    process = program.start()
    config.add_cleanup(lambda: _stop(program, process))
    deadline = time.monotonic() + START_SECONDS
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise pytest.UsageError(f"{server.name} did not start:\n{program.log.read_text()}")
        time.sleep(0.02)


def _stop(program: "Program", process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(program.stop_signal)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
