"""Mends what differs between the databases, as after restoring one from a backup."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError

from tasks import reconciling
from tasks.reconciling import REMEDIES


class Command(BaseCommand):
    help = (
        "Compare what each database knows of the users and mend what differs: users and rows "
        "that a restored backup brought back are deleted again, names are written again, grace "
        "periods of deletions begin anew. Rows of a user whom nobody knows are only listed. "
        "Exits with 1 if anything is left to mend."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--dry-run", action="store_true", help="only say what differs")
        either.add_argument(
            "--delete-unknown",
            type=UUID,
            metavar="USER",
            nargs="+",
            default=[],
            help="and delete the rows of these users whom nobody knows",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._delete(options["delete_unknown"])
        findings = reconciling.reconcile(dry_run=options["dry_run"])
        verb = "would be" if options["dry_run"] else "is"
        for finding in findings:
            self.stdout.write(
                f"{finding.app}: {finding.what}: {finding.user_id}: {verb} {REMEDIES[finding.what]}"
            )
        left = [f for f in findings if options["dry_run"] or f.what == reconciling.UNKNOWN]
        if left:
            raise CommandError(f"{len(left)} difference(s) not mended", returncode=1)
        if options["verbosity"] > 0:
            self.stdout.write(f"{len(findings)} difference(s) found and mended")

    def _delete(self, unknown: list[UUID]) -> None:
        for user_id in unknown:
            if not reconciling.delete_unknown(user_id):
                raise CommandError(f"{user_id}: is known, or has no rows; nothing was deleted")
            self.stdout.write(f"{user_id}: is deleted")
