"""People who have things to do, and their ways into the API."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.users.models import User
from tests.factories import UserFactory

TODOS = "/api/todos/"


class Client(APIClient):
    """Someone's way in, with the few things that most tests do."""

    def add(self, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
        """Create a todo; the todo as it was answered."""
        response = self.post(TODOS, {"title": title, **fields})
        assert response.status_code == 201, response.text
        todo: dict[str, Any] = response.json()
        return todo

    def list(self, **parameters: Any) -> list[str]:
        """The titles on the first page."""
        response = self.get(TODOS, parameters)
        assert response.status_code == 200, response.text
        return [todo["title"] for todo in response.json()["results"]]

    def tag_of(self, todo: dict[str, Any]) -> str:
        return self.get(address_of(todo))["ETag"]


def address_of(todo: dict[str, Any]) -> str:
    return f"{TODOS}{todo['id']}/"


def refused_fields(response: Any) -> set[str]:
    """The fields that a 400 names."""
    assert response.status_code == 400, response.text
    assert response["Content-Type"] == "application/problem+json"
    return {error["field"] for error in response.json()["errors"]}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_authenticate(user)
    return client


@pytest.fixture
def person() -> Callable[..., Client]:
    """Makes a person of this name, signed in."""

    def make(username: str, **fields: Any) -> Client:
        return signed_in(UserFactory.create(username=username, **fields))

    return make


@pytest.fixture
def ada(person: Callable[..., Client]) -> Client:
    return person("ada")


@pytest.fixture
def bob(person: Callable[..., Client]) -> Client:
    return person("bob")


@pytest.fixture
def staff(person: Callable[..., Client]) -> Client:
    return person("boss", is_staff=True)
