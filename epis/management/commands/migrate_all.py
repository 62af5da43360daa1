"""Brings every database up to date, one after the other."""

from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command
from django.db import connections

MIGRATION_LOCK = 0x65706973


class Command(BaseCommand):
    help = "Migrate every database. Several at once wait for each other."

    def handle(self, *args: Any, **options: Any) -> None:
        # A session's lock, held on a connection that the migrations do not close.
        with connections.create_connection("default").cursor() as lock:
            lock.execute("SET lock_timeout = 0")
            lock.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            for alias in settings.DATABASES:
                call_command("migrate", database=alias, verbosity=options["verbosity"])
            lock.connection.close()
