"""People, their counters, and threads that close their connections."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from apps.users.models import User

Start = Callable[..., Future[Any]]


@pytest.fixture
def ada() -> User:
    return User.objects.create(username="ada")


@pytest.fixture
def bob() -> User:
    return User.objects.create(username="bob")


@pytest.fixture
def staff() -> User:
    return User.objects.create(username="staff", is_staff=True, is_superuser=True)


@pytest.fixture
def api(ada: User) -> APIClient:
    """Ada's client."""
    return signed_in(ada)


def signed_in(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    return client


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
