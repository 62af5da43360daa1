"""Each app's tables are in its own database, and nothing crosses."""

from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models
from django.db.migrations.operations import CreateModel
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django.test.utils import isolate_apps

from apps.todos.models import Owner, Todo
from apps.users.models import User
from tests.factories import UserFactory

ALIASES = ["default", "todos", "counter"]

pytestmark = pytest.mark.django_db(databases=ALIASES)


def tables(alias: str) -> set[str]:
    with connections[alias].cursor() as cursor:
        return set(connections[alias].introspection.table_names(cursor)) - {"django_migrations"}


def tables_of(*labels: str) -> set[str]:
    owned = [
        model
        for label in labels
        for model in apps.get_app_config(label).get_models()
        if model._meta.managed  # the others are views
    ]
    joins = [field.m2m_db_table() for model in owned for field in model._meta.many_to_many]
    return {model._meta.db_table for model in owned} | set(joins)


class TestTables:
    @pytest.mark.parametrize(
        ("alias", "labels"),
        [
            ("default", ["users", "auth", "admin", "contenttypes"]),
            ("todos", ["todos"]),
            ("counter", ["counter"]),
        ],
    )
    def test_are_in_one_database_though_each_records_every_migration(
        self, alias: str, labels: list[str]
    ) -> None:
        applied = MigrationRecorder(connections[alias]).applied_migrations()

        assert {"users", "todos", "counter"} <= {app for app, _ in applied}
        assert tables(alias) == tables_of(*labels)

    def test_are_made_where_the_map_says(self, settings: Any) -> None:
        migrate_planted("todos", alias="counter")
        assert "todos_planted" not in tables("counter")

        settings.DATABASE_OF = {"todos": "counter"}
        migrate_planted("todos", alias="counter")
        assert "todos_planted" in tables("counter")


def migrate_planted(app_label: str, *, alias: str) -> None:
    """Run a migration of this app that makes a table, in this database."""
    before, after = ProjectState(), ProjectState()
    make_table = CreateModel("Planted", [("id", models.BigAutoField(primary_key=True))])
    make_table.state_forwards(app_label, after)
    with connections[alias].schema_editor() as editor:
        make_table.database_forwards(app_label, editor, before, after)


@pytest.fixture
def planted() -> Any:
    """A model of todos that breaks the rule: with a relation to users."""
    with isolate_apps("apps.todos"):

        class Planted(models.Model):  # noqa: DJ008  (lives for a test)
            user = models.ForeignKey(User, models.CASCADE, related_name="+")

            class Meta:
                app_label = "todos"

        return Planted


class TestRelation:
    def test_within_a_database_is_allowed(self) -> None:
        owner = Owner(username="ada")

        assert Todo(owner=owner).owner is owner

    def test_across_databases_is_refused(self, planted: Any) -> None:
        with pytest.raises(ValueError, match="router prevents this relation"):
            planted(user=UserFactory.create())

    def test_would_be_allowed_if_the_map_said_so(self, planted: Any, settings: Any) -> None:
        settings.DATABASE_OF = {}
        user = UserFactory.create()

        assert planted(user=user).user is user
