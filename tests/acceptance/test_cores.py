"""The web server, as it is run, with as many processes as there are cores."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from epis.embedded.locations import Locations
from epis.supervisor.parts import WEB_STOP_SECONDS, web
from tests.acceptance.running import free_port
from tests.polling import wait_for

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1,
    reason="there is nothing to choose",
)
NEEDS_AT_LEAST = 4  # of each process: those that the web server makes come behind the first


@pytest.fixture
def web_server(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[psutil.Process]:
    settings.WEB_WORKERS, settings.PORT = len(os.sched_getaffinity(0)), free_port()
    monkeypatch.setenv("WEB_WORKERS", str(settings.WEB_WORKERS))
    locations = Locations(tmp_path)
    locations.logs.mkdir(parents=True)
    program = web(locations).prepare()
    process = program.start()
    yield psutil.Process(process.pid)
    process.send_signal(program.stop_signal)
    process.wait(2 * WEB_STOP_SECONDS)


def cores_of(server: psutil.Process) -> list[set[int]]:
    """Where all threads of each process may run, once they are there."""
    found = []
    for process in server.children():
        with suppress(psutil.Error, OSError):
            threads = [thread.id for thread in process.threads()]
            if len(threads) >= NEEDS_AT_LEAST:
                found.append(set().union(*map(os.sched_getaffinity, threads)))
    return found


def test_has_a_core_for_each_also_for_one_in_the_place_of_another(
    web_server: psutil.Process,
) -> None:
    each = [{core} for core in os.sched_getaffinity(0)]

    def all_have_one() -> bool:
        return sorted(cores_of(web_server), key=min) == sorted(each, key=min)

    wait_for("a core for each", all_have_one)
    killed = web_server.children()[0]
    killed.kill()
    wait_for("the one that was killed gone", lambda: killed not in web_server.children())
    wait_for("its core taken again", all_have_one)
