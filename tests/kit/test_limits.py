"""How many rows an account may have, so that none can fill a database."""

import random
from typing import Any

import pytest

from apps.counter.models import Counter
from apps.todos.models import Todo
from kit import holdings
from tests.clients import client_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "todos", "counter"])

KINDS = [
    ("TODOS_PER_ACCOUNT", "/api/todos/", "title", Todo),
    ("COUNTERS_PER_ACCOUNT", "/api/counters/", "name", Counter),
]
GONE = {Counter: 201, Todo: 409}  # what makes room when it is deleted: not what is in the trash


@pytest.mark.parametrize(("setting", "path", "field", "model"), KINDS)
class TestLimit:
    def test_refuses_one_more_than_is_allowed(
        self, settings: Any, setting: str, path: str, field: str, model: Any
    ) -> None:
        setattr(settings, setting, 3)
        full, other = client_of(UserFactory.create()), client_of(UserFactory.create())

        told = [full.post(path, {field: f"number {number}"}) for number in range(4)]

        assert [each.status_code for each in told] == [201, 201, 201, 409]
        assert told[-1].json()["code"] == "too_many"
        assert model.objects.count() == 3
        assert other.post(path, {field: "first"}).status_code == 201
        gone = full.delete(told[0]["Location"])
        assert gone.status_code == 204
        assert full.post(path, {field: "again"}).status_code == GONE[model]

    def test_is_looked_at_now_and_then_where_it_is_high(
        self,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        setting: str,
        path: str,
        field: str,
        model: Any,
    ) -> None:
        """Here by every other creation; the random number says which."""
        monkeypatch.setattr(holdings, "NOTICED_WITHIN", 1)
        setattr(settings, setting, 2)
        client = client_of(UserFactory.create())
        for number in range(2):
            assert client.post(path, {field: f"number {number}"}).status_code == 201

        monkeypatch.setattr(random, "random", lambda: 0.9)
        unseen = client.post(path, {field: "unseen"})
        monkeypatch.setattr(random, "random", lambda: 0.4)
        seen = client.post(path, {field: "seen"})

        assert (unseen.status_code, seen.status_code) == (201, 409)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/todos/bulk/", {"create": [{"title": "a"}, {"title": "b"}]}),
        ("/api/todos/import/", [{"title": "a"}, {"title": "b"}]),
    ],
)
def test_many_at_once_are_held_against_the_limit(settings: Any, path: str, body: Any) -> None:
    settings.TODOS_PER_ACCOUNT = 2
    client = client_of(UserFactory.create())
    client.post("/api/todos/", {"title": "first"})

    response = client.post(path, body)

    assert (response.status_code, response.json()["code"]) == (409, "too_many")
    assert Todo.objects.count() == 1


def test_whoever_has_as_many_as_allowed_still_gets_a_first_answer(settings: Any) -> None:
    settings.TODOS_PER_ACCOUNT = 1
    client = client_of(UserFactory.create())

    def create() -> Any:
        key = {"Idempotency-Key": "monday"}
        return client.post("/api/todos/", {"title": "first"}, headers=key)

    first = create()

    assert create().json() == first.json()
