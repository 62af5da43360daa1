"""Fixtures that every test may use."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest
from django.test import Client

from tests.conforming import complaints
from tests.pages import inline_in
from tests.planted import Overhearing
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


@pytest.fixture(scope="session")
def log_of_the_run() -> Iterator[Overhearing]:
    overhearing = Overhearing()
    logging.getLogger().addHandler(overhearing)
    yield overhearing
    logging.getLogger().removeHandler(overhearing)


@pytest.fixture(autouse=True)
def no_secret_is_logged(log_of_the_run: Overhearing) -> Iterator[None]:
    """Of any test. All passwords, tokens and addresses of mail in tests are planted ones."""
    logging.getLogger().addHandler(
        log_of_the_run
    )  # again, where an earlier test has set up logging
    yield
    told, log_of_the_run.told = log_of_the_run.told, []
    assert told == []


@pytest.fixture(scope="session", autouse=True)
def every_answer_is_what_the_schema_says() -> Iterator[None]:
    """Of the API to the test client, in any test. And no page does what its policy forbids."""
    with pytest.MonkeyPatch.context() as patch:
        ask = Client.request

        def ask_and_compare(client: Client, **request: Any) -> Any:
            response = ask(client, **request)
            wrong = [*complaints(response), *inline_in(response)]
            asked = f"{request.get('REQUEST_METHOD', 'GET')} {request.get('PATH_INFO')}"
            assert wrong == [], f"{asked}: {response.status_code}"
            return response

        patch.setattr(Client, "request", ask_and_compare)
        yield


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge takes two rows at a time, however quick that is, and a round one turn."""
    from tasks import cascade  # not at the top: it needs the settings

    monkeypatch.setattr(cascade, "ROUND_SECONDS", -1)
    for bound in ("FEWEST_ROWS", "MOST_ROWS"):
        monkeypatch.setattr(cascade, bound, 2)
    monkeypatch.setattr(cascade, "Pace", partial(cascade.Pace, rows=2))
