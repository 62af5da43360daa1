"""Migrations 0002 to 0004: on a table with todos, forth and back."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import StateApps

from apps.todos.models import Todo
from apps.todos.operations.writing import change_todo, create_todo, delete_todo, restore_version
from apps.todos.queries.following import BEGINNING, list_changed
from apps.todos.queries.history import list_versions
from apps.todos.queries.listing import list_todos, order_of
from apps.todos.queries.reading import find_todos
from kit.directory import Viewer
from kit.ids import new_id
from tests.databases import connected_to_server, create_database, drop_database

pytestmark = pytest.mark.django_db(databases=["todos"], transaction=True)

NOW = "0004_created_as"  # what the models and the code are made for


def migrate(name: str) -> StateApps:
    """Bring the todos app to this migration. Gives its models as they are there."""
    executor = MigrationExecutor(connections["todos"])
    return executor.migrate([("todos", name)]).apps


@pytest.fixture
def before() -> Iterator[StateApps]:
    """A database of its own, with the tables of 0001."""
    connection = connections["todos"]
    usual = connection.settings_dict["NAME"]
    name = f"{usual}_before"
    connection.close()
    with connected_to_server() as server:
        drop_database(server, name)
        create_database(server, name)
    connection.settings_dict["NAME"] = name
    try:
        yield migrate("0001_initial")
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual
        with connected_to_server() as server:
            drop_database(server, name)


def settle(apps: StateApps) -> tuple[UUID, list[Any]]:
    """An owner with three todos, as the code of that time wrote them."""
    owner_id = new_id()
    apps.get_model("todos", "Owner").objects.create(id=owner_id, username="ada")
    model = apps.get_model("todos", "Todo")
    todos = [
        model.objects.create(owner_id=owner_id, title=title, version=version, tags=["shop"])
        for title, version in [("우유를 사다", 1), ("Bread", 4), ("Nap", 1)]
    ]
    return owner_id, todos


class TestForth:
    def test_keeps_every_todo_and_gives_it_what_is_new(self, before: StateApps) -> None:
        owner_id, old = settle(before)

        migrate(NOW)

        viewer = Viewer(owner_id)
        fields = ["id", "title", "version", "tags", "created_at", "updated_at"]
        now = {todo.id: todo for todo in find_todos([todo.id for todo in old], viewer)}
        for todo in old:
            assert [getattr(now[todo.id], name) for name in fields] == [
                getattr(todo, name) for name in fields
            ]
        found = list_todos(viewer, {"search": "우유"}, order_of([], searched=True), limit=10)
        assert [todo.title for todo in found] == ["우유를 사다"]
        changed, place = list_changed(owner_id, BEGINNING, limit=10)
        assert {each.id: each.version for each in changed} == {
            todo.id: todo.version for todo in old
        }
        new = create_todo(owner_id=owner_id, title="new")
        change_todo(todo_id=old[1].id, viewer=viewer, title="Rolls")
        changed, _ = list_changed(owner_id, place, limit=10)
        assert {each.id: each.version for each in changed} == {new.id: 1, old[1].id: 5}
        assert [version.version for version in list_versions(old[1].id, viewer)] == [5, 1]
        restored = restore_version(todo_id=old[1].id, number=4, viewer=viewer)
        assert (restored.title, restored.version) == ("Bread", 6)


class TestBack:
    def test_keeps_what_is_not_in_the_trash(self, before: StateApps) -> None:
        owner_id, old = settle(before)
        migrate(NOW)
        delete_todo(todo_id=old[0].id, viewer=Viewer(owner_id))
        change_todo(todo_id=old[1].id, viewer=Viewer(owner_id), title="Rolls")

        apps = migrate("0001_initial")

        left = apps.get_model("todos", "Todo").objects.order_by("id")
        assert [todo.title for todo in left] == ["Rolls", "Nap"]
        with connections["todos"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_proc WHERE proname LIKE 'todos\\_%'")
            assert cursor.fetchone() == (0,)
        migrate(NOW)
        assert Todo.objects.count() == 2
