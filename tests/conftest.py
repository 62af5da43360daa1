"""Fixtures that every test may use."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
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
