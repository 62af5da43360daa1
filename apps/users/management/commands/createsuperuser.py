"""Django's, for accounts that need no address of mail."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """As Django's, to which no address is none that was forgotten."""
        if not options["interactive"] and options["email"] is None:
            options["email"] = ""
        super().handle(*args, **options)
