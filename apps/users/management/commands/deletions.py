"""Deletions from the shell: watched, steered, and their certificates checked again."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError
from tqdm import tqdm

from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion
from apps.users.operations.certificates import verify_deletions
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    resume_deletion,
    retry_deletion,
)
from apps.users.queries import get_deletion, list_deletions
from kit.errors import Refusal

STEER: dict[str, tuple[Callable[..., Deletion], str]] = {
    "pause": (pause_deletion, "hold running deletions, within a second or so"),
    "resume": (resume_deletion, "let paused deletions go on"),
    "cancel": (cancel_deletion, "bring accounts back whose deletion is only scheduled"),
    "retry": (retry_deletion, "try again at once what has failed"),
}
AT_ONCE = 500


class Command(BaseCommand):
    help = (
        "Watch and steer the deletions of accounts, and check certificates against all "
        "databases. Exits with 1 if anything was refused or a certificate does not hold."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listed = verbs.add_parser("list", help="those not ended, the newest first")
        listed.add_argument("--state", choices=Deletion.State.values, help="those in this state")
        shown = verbs.add_parser("show", help="all about one")
        shown.add_argument("id", type=UUID)
        for verb, (_, meaning) in STEER.items():
            steered = verbs.add_parser(verb, help=meaning)
            steered.add_argument("id", type=UUID, nargs="+")
        verified = verbs.add_parser("verify", help="check certificates: these, or all there are")
        verified.add_argument("id", type=UUID, nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        if verb == "list":
            for deletion in list_deletions(options["state"]).iterator(chunk_size=AT_ONCE):
                self.stdout.write(_line(deletion))
        elif verb == "show":
            self._show(options["id"])
        elif verb == "verify":
            self._verify(options["id"])
        else:
            self._steer(verb, options["id"])

    def _show(self, deletion_id: UUID) -> None:
        try:
            deletion = get_deletion(deletion_id)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        self.stdout.write(_line(deletion))
        for name in ("requested_at", "starts_at", "finished_at", "verified_at"):
            moment = getattr(deletion, name)
            if moment:
                self.stdout.write(f"  {name.removesuffix('_at')}: {moment.isoformat()}")
        for step in deletion.steps.all():
            total = "?" if step.total is None else f"{step.total:,}"
            self.stdout.write(f"  {step.app}: {step.state}, {step.deleted:,} of {total} rows")
            if step.retry_at:
                self.stdout.write(
                    f"    failed {step.failures} time(s), tried again at "
                    f"{step.retry_at.isoformat()}: {step.last_error}"
                )

    def _steer(self, verb: str, deletion_ids: list[UUID]) -> None:
        refused = 0
        for deletion_id in deletion_ids:
            try:
                moved = STEER[verb][0](deletion_id=deletion_id)
            except Refusal as refusal:
                self.stderr.write(f"{deletion_id}: {refusal.message}")
                refused += 1
            else:
                self.stdout.write(_line(moved))
        if refused:
            raise CommandError(f"{refused} refused", returncode=1)

    def _verify(self, deletion_ids: list[UUID]) -> None:
        done = list_deletions(Deletion.State.DONE)
        for deletion_id in deletion_ids:
            try:
                state = get_deletion(deletion_id).state
            except Refusal as refusal:
                raise CommandError(f"{deletion_id}: {refusal.message}") from None
            if state != Deletion.State.DONE:
                raise CommandError(f"{deletion_id}: {WrongDeletionState(state).message}")
        if deletion_ids:
            done = done.filter(id__in=deletion_ids)
        checked = wrong = 0
        with tqdm(total=done.count(), unit=" certificates", disable=None, leave=False) as bar:
            ids_of_done = done.prefetch_related(None).values_list("id", flat=True)
            for ids in _pages(ids_of_done.iterator()):
                for deletion_id, faults in verify_deletions(deletion_ids=ids).items():
                    checked += 1
                    wrong += bool(faults)
                    for fault in faults:
                        self.stderr.write(f"{deletion_id}: {fault}")
                bar.update(len(ids))
        if wrong:
            raise CommandError(f"{wrong} certificate(s) of {checked} do not hold", returncode=1)
        self.stdout.write(f"{checked} certificate(s) checked; all of them hold")


def _line(deletion: Deletion) -> str:
    words = f"{deletion.id} {deletion.state} {deletion.progress:.0%} user {deletion.user_id}"
    return f"{words} {deletion.outlook}".rstrip()


def _pages(ids: Iterator[UUID]) -> Iterator[list[UUID]]:
    while page := list(islice(ids, AT_ONCE)):
        yield page
