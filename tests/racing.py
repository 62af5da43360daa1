"""Races in tests: real threads with real connections. One that hangs fails its test."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Any

from django.db import connections

from tests.polling import wait_for

PATIENCE = 60  # seconds
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def race(
    *runners: Callable[[], Any], errors_as_values: bool = False, seconds: float = PATIENCE
) -> list[Any]:
    """Run all at once. What each returned, in the order given; raises what the first raised.

    With `errors_as_values` it stands in its place instead.
    """
    start = threading.Barrier(len(runners), timeout=20)

    def run(runner: Callable[[], Any]) -> Any:
        start.wait()
        return runner()

    threads = [in_thread(run, runner) for runner in runners]
    join(threads, seconds=seconds)
    if errors_as_values:
        return [thread.exception() or thread.result() for thread in threads]
    return [thread.result() for thread in threads]


def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Run it in a thread of its own. What hangs there does not keep the tests from ending."""
    answer: Future[Any] = Future()

    def call() -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:
            answer.set_exception(error)
        else:
            answer.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return answer


def join(threads: Iterable[Future[Any]], *, seconds: float = PATIENCE) -> None:
    """Wait until all have ended, however they did."""
    hung = wait(threads, timeout=seconds).not_done
    assert not hung, f"{len(hung)} thread(s) still running after {seconds} s"


def wait_until_blocked(sessions: int, *, using: str = "default") -> None:
    """Wait until so many sessions of this database wait for a lock of another."""
    wait_for(
        f"{sessions} session(s) waiting for a lock", lambda: are_blocked(sessions, using=using)
    )


def are_blocked(sessions: int, *, using: str = "default") -> bool:
    """Whether so many sessions of this database wait for a lock of another."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # what a transaction saw before
        cursor.execute(WAITING)
        return bool(cursor.fetchone() == (sessions,))
