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
        assert full.post(path, {field: "again"}).status_code == 201

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
