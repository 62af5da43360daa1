"""Counts from the shell."""

import json
import time
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError, connections

from apps.counter.accepting import Receipt, accept_increment
from apps.counter.api.serializers import receipt_of
from apps.counter.errors import CounterNotFound
from apps.counter.models import Increment
from apps.counter.queries import find_counter_id, get_increment
from apps.users import public as users
from kit.directory import Viewer
from kit.errors import Refusal
from kit.ids import new_id

REFUSED = 1
NOT_YET_APPLIED = 3
NOT_KNOWN = 4
LOOK_EVERY = 0.05  # seconds


class Command(BaseCommand):
    """Acts as staff: whoever may run this may count on every counter."""

    help = (
        "Add to a counter and print the receipt. With --key it can be run again, and counts "
        "once. Exits with 1 if nothing was accepted: the increment was refused, the counter is "
        "unknown, or the database does not answer. With 3 if it was accepted but not applied "
        "within --wait, and with 4 if it is not known whether it was accepted: the message then "
        "names the key to run it again with."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("counter", help="its id, or owner/name")
        parser.add_argument("--amount", type=int, default=1, help="how much to add (default 1)")
        parser.add_argument("--key", help="makes running it again harmless")
        parser.add_argument(
            "--wait",
            type=float,
            default=0,
            metavar="SECONDS",
            help="how long to wait until it is applied (default: not at all)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        staff = Viewer(user_id=new_id(), is_staff=True)
        key = str(new_id()) if options["key"] is None else options["key"]
        connections["counter"].ensure_connection()  # nothing is accepted if that fails
        try:
            counter_id = _counter_named(options["counter"])
            receipt: Receipt | Increment = accept_increment(
                counter_id=counter_id, viewer=staff, amount=options["amount"], key=key
            )
            deadline = time.monotonic() + options["wait"]
            while receipt.state == Increment.State.PENDING and time.monotonic() < deadline:
                time.sleep(LOOK_EVERY)
                receipt = get_increment(counter_id, receipt.id, staff)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=REFUSED) from None
        except DatabaseError as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            message = f"Not known whether it was accepted; again with --key {key}: {reason}"
            raise CommandError(message, returncode=NOT_KNOWN) from error
        self._tell(receipt)
        if receipt.state == Increment.State.REFUSED:
            raise CommandError("It would leave the signed 64-bit range.", returncode=REFUSED)
        if options["wait"] and receipt.state == Increment.State.PENDING:
            message = f"Accepted, but not applied within {options['wait']:g} s. It will be."
            raise CommandError(message, returncode=NOT_YET_APPLIED)

    def _tell(self, receipt: Receipt | Increment) -> None:
        """A sentence for a person; for a pipe the receipt as over HTTP, on one line."""
        if self.stdout.isatty():
            after = "" if receipt.result is None else f", the counter is at {receipt.result}"
            self.stdout.write(f"{receipt.amount:+d} {receipt.state}{after} (key {receipt.key})")
        else:
            self.stdout.write(json.dumps(receipt_of(receipt)))


def _counter_named(name: str) -> UUID:
    """Raises CounterNotFound."""
    try:
        return UUID(name)
    except ValueError:
        pass
    username, _, counter_name = name.partition("/")
    owner_id = users.find_user_id(username)
    counter_id = find_counter_id(owner_id, counter_name) if owner_id else None
    if counter_id is None:
        raise CounterNotFound
    return counter_id
