"""The web server ends threads that are idle: their connections must not outlive them."""

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from weakref import ref

import pytest
from django.db import connections
from django.db.backends.signals import connection_created

from epis.wsgi import close_with_its_thread
from tests.polling import wait_for
from tests.racing import PATIENCE

pytestmark = pytest.mark.django_db(databases=["default", "todos"], transaction=True)

ALIASES = ["default", "todos"]


class Thread:
    """One that has opened connections, and has ended. The server's process of each, and itself."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.opened: list[ref[Any]] = []
        thread = threading.Thread(target=self._open)  # not `in_thread`, which closes them
        thread.start()
        thread.join(PATIENCE)

    def _open(self) -> None:
        for alias in ALIASES:
            connections[alias].ensure_connection()
            self.pids[alias] = connections[alias].connection.info.backend_pid
            self.opened.append(ref(connections[alias].connection))

    def has_sessions(self) -> bool:
        return any(_is_there(alias, pid) for alias, pid in self.pids.items())


def _is_there(alias: str, pid: int) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.rowcount == 1


@pytest.fixture(autouse=True)
def _garbage_stays() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_take_their_connections_along() -> None:
    thread = Thread()

    wait_for("the sessions ended", lambda: not thread.has_sessions())


def test_leave_them_alone_in_a_fork() -> None:
    """Which ends the threads of its parent, to itself, and shares their sockets."""
    over, opened = threading.Event(), threading.Event()
    answers: list[int] = []

    def ask() -> None:
        with connections["todos"].cursor() as cursor:
            cursor.execute("SELECT 1")
            opened.set()
            over.wait(PATIENCE)
            cursor.execute("SELECT 2")
            answers.append(cursor.fetchone()[0])
        connections["todos"].close()

    thread = threading.Thread(target=ask)
    thread.start()
    assert opened.wait(PATIENCE)

    subprocess.run([sys.executable, "-c", ""], preexec_fn=os.getpid, check=True)

    over.set()
    thread.join(PATIENCE)
    assert answers == [2]


def test_would_leave_them_behind() -> None:
    connection_created.disconnect(close_with_its_thread)
    try:
        thread = Thread()
    finally:
        connection_created.connect(close_with_its_thread)

    left = [opened() for opened in thread.opened]
    assert thread.has_sessions()
    assert None not in left
    for each in left:
        each.close()
