"""`manage.py migrate_all`: every database, and each only its own tables."""

import pytest
from django.core.management import call_command
from django.db import connections

from tests.people import EVERYWHERE


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestMigrateAll:
    def test_can_be_run_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("migrate_all")

        assert capsys.readouterr().out.count("No migrations to apply.") == 3

    def test_keeps_each_apps_tables_in_its_own_database(self) -> None:
        apps = {
            alias: {
                table.split("_")[0]
                for table in connections[alias].introspection.table_names()
                if table.split("_")[0] in ("users", "todos", "counter")
            }
            for alias in EVERYWHERE
        }

        assert apps == {"default": {"users"}, "todos": {"todos"}, "counter": {"counter"}}
