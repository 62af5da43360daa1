"""`manage.py migrate_all`: every database, and each only its own tables."""

from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections

from epis.management.commands.migrate_all import MIGRATION_LOCK
from tests.people import EVERYWHERE
from tests.polling import wait_for


@pytest.fixture
def ascii_todos(transactional_db: None) -> Iterator[None]:
    """The todos, in a database that was created with a plain C locale."""
    here, elsewhere = connections["todos"], connections["counter"]
    name = here.settings_dict["NAME"]
    plain = f"{name}_plain"
    with elsewhere.cursor() as cursor:
        cursor.execute(
            f"CREATE DATABASE {plain} TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
        )
    here.close()
    here.settings_dict["NAME"] = plain
    yield
    here.close()
    here.settings_dict["NAME"] = name
    with elsewhere.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {plain}")


def lock_is_free() -> bool:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        (free,) = cursor.fetchone()
    return bool(free)


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestMigrateAll:
    def test_can_be_run_again(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("migrate_all")

        assert capsys.readouterr().out.count("No migrations to apply.") == len(EVERYWHERE)

    def test_refuses_a_database_in_which_a_search_would_find_ascii_only(
        self, ascii_todos: None
    ) -> None:
        with pytest.raises(CommandError, match="LC_CTYPE"):
            call_command("migrate_all", verbosity=0)

    def test_gives_its_lock_back_when_a_migration_fails(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(connections["counter"].settings_dict, "NAME", "no_such_database")
        connections["counter"].close()

        # The error is held while we look, and with it all that its frames hold.
        with pytest.raises(DatabaseError) as failure:
            call_command("migrate_all", verbosity=0)

        # PostgreSQL ends a session a moment after its client has hung up.
        wait_for(f"the lock being free after {failure.value}", lock_is_free)

    def test_keeps_each_apps_tables_in_its_own_database(self) -> None:
        owner_of = {alias: "users" if alias == "default" else alias for alias in EVERYWHERE}

        apps = {
            alias: {
                table.split("_")[0]
                for table in connections[alias].introspection.table_names()
                if table.split("_")[0] in owner_of.values()
            }
            for alias in EVERYWHERE
        }

        assert apps == {alias: {owner} for alias, owner in owner_of.items()}
