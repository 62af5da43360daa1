"""A page costs as many queries for many rows as for a few."""

from collections import Counter as Tally
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.counter import public as counter
from apps.todos import public as todos
from apps.todos.operations.writing import change_todo
from apps.users.models import User
from kit.directory import Viewer
from tests.factories import UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

LISTS = [
    *("/api/users/", "/api/auth/tokens/", "/api/todos/", "/api/counters/"),
    *("/api/counters/{tally}/increments/", "/api/todos/{todo}/history/"),
    *("/api/todos/changes/", "/api/todos/tags/", "/api/todos/categories/"),
]


def add_rows(owner: User, tally: Any, todo: Any, number: int) -> None:
    for _ in range(number):
        other = UserFactory.create()
        owner.tokens.create(digest=other.id.bytes * 2)
        todos.add_todo(owner_id=other.id, title="x", visibility="public")
        name = str(other.id)
        todos.add_todo(owner_id=owner.id, title="x", tags=[name], category=name)
        change_todo(todo_id=todo, viewer=Viewer(other.id, is_staff=True), title=name)
        counter.open_counter(owner_id=other.id, name="x")
        counter.increment(counter_id=tally, owner_id=owner.id)


def queries(browser: Client, page: str) -> Tally[str]:
    captured = {alias: CaptureQueriesContext(connections[alias]) for alias in EVERYWHERE}
    for context in captured.values():
        context.__enter__()
    assert browser.get(page).status_code == 200
    for context in captured.values():
        context.__exit__(None, None, None)
    return Tally({alias: len(context) for alias, context in captured.items()})


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("page", LISTS)
def test_does_not_ask_for_each_row(page: str, accept: str) -> None:
    ada = UserFactory.create(is_staff=True)
    browser = Client(headers={"Accept": accept})
    browser.force_login(ada)
    tally = counter.open_counter(owner_id=ada.id, name="tally")
    todo = todos.add_todo(owner_id=ada.id, title="x")
    address = page.format(tally=tally, todo=todo)

    add_rows(ada, tally, todo, 2)
    few = queries(browser, address)
    add_rows(ada, tally, todo, 10)

    assert queries(browser, address) == few
