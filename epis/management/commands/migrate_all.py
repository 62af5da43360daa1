"""Brings every database up to date, one after the other."""

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections

# Locks are per database: in the users' this key cannot meet the counter's consumer's.
MIGRATION_LOCK = 0x65706973

ASCII_ONLY = (
    "the todos database has an LC_CTYPE that knows ASCII letters only, so a search for any "
    "other would find nothing: create the database anew with "
    "TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C.UTF-8'"
)


class Command(BaseCommand):
    help = "Migrate every database. Several at once wait for each other."

    def handle(self, *args: Any, **options: Any) -> None:
        # A session's lock, held on a connection that the migrations do not close.
        lock = connections.create_connection("default")
        try:
            with lock.cursor() as cursor:
                cursor.execute("SET lock_timeout = 0")
                cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            for alias in settings.DATABASES:
                call_command("migrate", database=alias, verbosity=options["verbosity"])
        finally:
            lock.close()
        demand_trigrams_of_any_language()


def demand_trigrams_of_any_language() -> None:
    """Raises CommandError where pg_trgm, by which todos are searched, would see no trigram."""
    with connections["todos"].cursor() as cursor:
        cursor.execute("SELECT show_trgm('우유를')")
        if cursor.fetchone() == ([],):
            raise CommandError(ASCII_ONLY)
