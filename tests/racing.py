"""Races in tests: real threads with real connections, started together."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections

from tests.polling import wait_for

WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def race(*runners: Callable[[], Any]) -> list[Any]:
    """Run all at once. What each returned or raised, in the order given."""
    start = Barrier(len(runners), timeout=20)

    def run(runner: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return runner()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(runners)) as pool:
        return list(pool.map(run, runners))


def wait_until_blocked(sessions: int, *, using: str = "default") -> None:
    """Wait until so many sessions of this database wait for a lock of another."""

    def blocked() -> bool:
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # what a transaction saw before
            cursor.execute(WAITING)
            return cursor.fetchone() == (sessions,)

    wait_for(f"{sessions} session(s) waiting for a lock", blocked)
