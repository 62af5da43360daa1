"""A database that goes away in the middle of a request: 503, nothing done, and the next works."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import close_old_connections, connections
from django.test import Client

from apps.counter import public as counter
from apps.counter.models import Counter, Increment
from apps.todos.models import Todo
from apps.users.models import User
from tests.clients import client_of, send_json
from tests.factories import UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


@contextmanager
def gone_before(alias: str, part: str) -> Iterator[list[str]]:
    """The server ends this database's session before the first statement with `part` in it."""
    ended: list[str] = []

    def end(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if part in str(sql) and not ended:
            ended.append(str(sql))
            connection = connections[alias].connection
            parameters = connections[alias].get_connection_params()
            with psycopg.connect(**parameters | {"autocommit": True}) as other:
                session = connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [session])
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(end):
        yield ended
    close_old_connections()  # as at the end of each request, but for those of the test client


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada")


@pytest.fixture
def client(ada: User) -> Client:
    client = client_of(ada)
    client.get("/api/users/me/")
    return client


@pytest.fixture
def tally(ada: User) -> UUID:
    tally: UUID = counter.open_counter(owner_id=ada.id, name="tally")
    return tally


CASES = [
    ("default", "users_token", "GET", "/api/users/me/", None),
    ("default", "users_user", "GET", "/api/users/", None),
    ("default", "UPDATE", "PATCH", "/api/users/{user}/", {"username": "renamed"}),
    ("todos", "todos_todo", "GET", "/api/todos/", None),
    ("todos", "UPDATE todos_owner", "POST", "/api/todos/", {"title": "x"}),
    ("todos", "INSERT", "POST", "/api/todos/", {"title": "x"}),
    ("counter", "counter_counter", "GET", "/api/counters/", None),
    ("counter", "INSERT", "POST", "/api/counters/", {"name": "another"}),
    ("counter", "counter_accept", "POST", "/api/counters/{counter}/increments/", {"key": "once"}),
]


@pytest.mark.parametrize(("alias", "part", "method", "path", "body"), CASES)
def test_is_told_and_nothing_is_done_and_the_next_request_is_served(
    client: Client, ada: User, tally: UUID, alias: str, part: str, method: str, path: str, body: Any
) -> None:
    address = path.format(user=ada.id, counter=tally)
    before = (Todo.objects.count(), Counter.objects.count(), Increment.objects.count())

    with gone_before(alias, part) as ended:
        refused = send_json(client, method, address, body)

    assert ended
    assert refused.status_code == 503, refused.content
    assert refused["Content-Type"] == "application/problem+json"
    assert int(refused["Retry-After"]) > 0
    assert refused.json()["code"] == "service_unavailable"
    assert "terminat" not in refused.text
    assert before == (Todo.objects.count(), Counter.objects.count(), Increment.objects.count())
    assert send_json(client, method, address, body).status_code in (200, 201, 202)


def test_is_told_on_a_page_as_well(ada: User) -> None:
    browser = Client(raise_request_exception=False, headers={"Accept": "text/html"})
    browser.force_login(ada)

    with gone_before("default", "users_session") as ended:
        refused = browser.get("/api/users/me/")

    assert ended
    assert refused.status_code == 503
    assert refused["Content-Type"].startswith("text/html")
    assert "Traceback" not in refused.text
    assert browser.get("/api/users/me/").status_code == 200
