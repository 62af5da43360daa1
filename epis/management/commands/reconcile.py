"""Mends what differs between the databases, as after restoring one from a backup."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from tasks import reconciling


class Command(BaseCommand):
    help = (
        "Compare what each database knows of the users and mend what differs: users and rows "
        "that a restored backup brought back are deleted again, names are written again. Rows "
        "of a user whom nobody knows are only listed. Exits with 1 if anything is left to mend."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what differs")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = reconciling.reconcile(dry_run=options["dry_run"])
        for finding in findings:
            self.stdout.write(f"{finding.app}: {finding.what}: {finding.user_id}")
        left = [f for f in findings if options["dry_run"] or f.what == reconciling.UNKNOWN]
        if left:
            raise CommandError(f"{len(left)} difference(s) not mended", returncode=1)
        if options["verbosity"] > 0:
            self.stdout.write(f"{len(findings)} difference(s) found and mended")
