"""`manage.py up`: the whole of epis under one supervisor."""

import os
import shlex
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from django.db import connections

from epis.embedded.ground import CannotStart
from epis.embedded.locations import Locations
from epis.supervisor import parts
from epis.supervisor.ground import demand_free_port, only_one
from epis.supervisor.leftovers import end_leftovers
from epis.supervisor.logs import LogKeeper
from epis.supervisor.supervisor import Supervisor

ADDRESSES = """
epis is up.

  web     {web}/
  API     {web}/api/
  docs    {web}/api/docs/
  admin   {web}/admin/

Make the first account:

  curl -H 'Content-Type: application/json' {web}/api/users/ \\
       -d '{{"username": "ada", "password": "a long pass phrase"}}'

and one for the admin, in another terminal:

  {superuser}

Ctrl-C stops everything in order. Logs: {logs}
"""


class Command(BaseCommand):
    """Runs until SIGINT or SIGTERM, then stops every part in order."""

    help = (
        "Run epis: the web server, the counter's consumer, the background worker and the "
        "schedule, and PostgreSQL and Valkey as well where no servers are named. What dies "
        "is restarted. Ctrl-C stops all of it in order."
    )
    requires_system_checks: list[str] = []  # migrating runs them

    def handle(self, *args: Any, **options: Any) -> None:
        locations = Locations(settings.EPIS_DATA)
        try:
            with only_one(locations):
                self._run(locations)
        except (CannotStart, OSError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"cannot prepare the databases: {error}") from error

    def _run(self, locations: Locations) -> None:
        logs = LogKeeper(locations.logs)
        with Supervisor(say, logs.look) as supervisor:
            ended = end_leftovers(locations.data)
            if ended:
                say("up", f"ended {ended} processes that an earlier start had left")
            demand_free_port(parts.HOST, settings.PORT)
            if not settings.SERVERS_ARE_NAMED:
                self._start_servers(supervisor, locations)
            self._prepare_databases_and_static_files()
            supervisor.go_on()
            supervisor.start(*parts.workers(locations))
            supervisor.start(parts.web(locations))
            supervisor.start(parts.schedule(locations))
            tell(
                ADDRESSES.format(
                    web=f"http://{parts.HOST}:{settings.PORT}",
                    superuser=make_superuser(locations),
                    logs=locations.logs,
                )
            )
            supervisor.watch()
        say("up", "stopped")

    def _start_servers(self, supervisor: Supervisor, locations: Locations) -> None:
        if not locations.servers.is_relative_to(locations.data):
            say(
                "up",
                f"the servers' files are in {locations.servers}: their user, not being "
                f"root, cannot reach {locations.data}",
            )
        supervisor.start(parts.database_server(locations))
        supervisor.start(parts.broker(locations))

    def _prepare_databases_and_static_files(self) -> None:
        say("up", "migrates the databases")
        call_command("migrate_all", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        connections.close_all()


def make_superuser(locations: Locations) -> str:
    """The command to type elsewhere, where the environment may name another folder."""
    if locations.data == settings.BASE_DIR / "var":
        return "make superuser"
    return f"EPIS_DATA={shlex.quote(str(locations.data))} make superuser"


def say(name: str, event: str) -> None:
    """One line for one event."""
    tell(f"{time.strftime('%H:%M:%S')} {name:<10} {event}")


def tell(text: str) -> None:
    """Print, even if nobody reads any more: a closed terminal must not break an ordered stop."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
