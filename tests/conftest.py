"""Fixtures that every test may use."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from tests.racing import in_thread, join

Start = Callable[..., Future[Any]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs a function in a thread of its own; the test ends when all of them have."""
    started: list[Future[Any]] = []

    def start_one(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        started.append(in_thread(function, *args, **kwargs))
        return started[-1]

    yield start_one
    join(started)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge takes two rows at a time, however quick that is."""
    from tasks import cascade  # not at the top: it needs the settings

    for bound in ("FEWEST_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(cascade, bound, 2)
    monkeypatch.setattr(cascade, "Pace", partial(cascade.Pace, rows=2))
