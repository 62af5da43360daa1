"""Checks every promise that the databases can show to be kept."""

from typing import Any

from django.core.management import BaseCommand, CommandError
from tqdm import tqdm

from apps.counter import public as counter
from epis import audit


class Command(BaseCommand):
    help = (
        "Check that every counter equals its ledger, that no row is without its user, and "
        "that every app has followed the feed of users. Reads only. Exits with 1 and a line "
        "per fault if anything is wrong."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        # The cursors first: what has only not been followed yet is no difference.
        faults = list(audit.cursors_behind())
        total = counter.count_counters()
        with tqdm(total=total, unit=" counters", disable=None, leave=False) as bar:
            faults += audit.unequal_counters(bar.update)
        faults += audit.orphans_and_differences()
        for fault in faults:
            self.stderr.write(fault)
        if faults:
            raise CommandError(f"{len(faults)} fault(s) found", returncode=1)
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{total} counters equal their ledgers; no orphans; every cursor caught up"
            )
