"""Fixtures that every test may use."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

Start = Callable[..., Future[Any]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs a function in a thread of its own; the test ends when all of them have."""
    with ThreadPoolExecutor(max_workers=32) as pool:

        def start_one(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
            def run() -> Any:
                try:
                    return function(*args, **kwargs)
                finally:
                    connections.close_all()

            return pool.submit(run)

        yield start_one
