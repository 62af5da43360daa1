"""Checks every promise that the databases can show to be kept, and repairs counters."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand, CommandError
from django.db import OperationalError
from tqdm import tqdm

from apps.counter import public as counter
from epis import audit

WHY = """
{count} counter(s) can be repaired: their ledgers are whole. Places have no gap, times are in order,
and each result is the sum up to it, so what the ledger comes to is what the counter has to say.
The repair looks again at each, with the consumer held off, and would then
"""
BEYOND_REPAIR = "cannot be repaired, for a ledger that is not whole proves nothing"


class Command(BaseCommand):
    help = (
        "Check that every counter equals its ledger and every ledger is whole, that no row is "
        "without its user, its counter or its todo, that no increment is set aside, and that every "
        "app has followed the feed of users. Exits with 1 and a line per fault if anything is "
        "wrong. Reads only, unless --repair is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="set counters to what their ledgers prove; says first what and why, and asks",
        )
        parser.add_argument("--yes", action="store_true", help="repair without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        # The cursors first: what has only not been followed yet is no difference.
        faults = self._tell(audit.cursors_behind())
        faults += self._tell(audit.misplaced_increments())
        faults += self._tell(audit.orphans_and_differences())
        faults += self._tell(audit.stray_changes())
        looked_at, wrong = self._compare_counters()
        if options["repair"]:
            wrong = self._repair(wrong, ask=not options["yes"])
        faults += sum(len(audit.faults_of(each)) for each in wrong)
        if faults:
            what = "left, for a person to decide on" if options["repair"] else "found"
            raise CommandError(f"{faults} fault(s) {what}", returncode=1)
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{looked_at} counters equal their ledgers; no orphans; every cursor caught up"
            )

    def _tell(self, faults: Iterable[str]) -> int:
        """Write each fault as soon as it is found. Returns how many there were."""
        told = 0
        for fault in faults:
            self.stderr.write(fault)
            told += 1
        return told

    def _compare_counters(self) -> tuple[int, list[counter.Comparison]]:
        """How many there are, and those with faults, which are told."""
        looked_at, wrong = 0, []
        total = counter.measure_audit()
        with tqdm(total=total, unit=" rows", unit_scale=True, disable=None, leave=False) as bar:
            for chunk in counter.compare_counters():
                looked_at += len(chunk)
                for found in chunk:
                    faults = audit.faults_of(found)
                    if faults:
                        bar.clear()
                        self._tell(faults)
                        wrong.append(found)
                bar.update(sum(1 + found.counter.entries for found in chunk))
        return looked_at, wrong

    def _repair(self, wrong: list[counter.Comparison], *, ask: bool) -> list[counter.Comparison]:
        """Explain, ask, repair what can be, and look again. Those that are still wrong."""
        repairable = [found for found in wrong if found.is_repairable]
        left = [found for found in wrong if not found.is_repairable]
        for found in left:
            self.stdout.write(f"counter {found.counter_id}: {BEYOND_REPAIR}")
        if repairable:
            self.stdout.write(WHY.format(count=len(repairable)))
            self.stdout.writelines(f"  {audit.repair_of(found)}\n" for found in repairable)
            if ask:
                self._demand_consent()
        for found in repairable:
            self.stdout.write(f"counter {found.counter_id}: {_repair_one(found.counter_id)}")
            for again in counter.compare([found.counter_id]):
                if self._tell(audit.faults_of(again)):
                    left.append(again)
        return left

    def _demand_consent(self) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Nothing was changed: there is no terminal to ask at (see --yes).")
        try:
            answer = input("Type yes to do so: ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if answer.strip() != "yes":
            raise CommandError("Nothing was changed.")


def _repair_one(counter_id: UUID) -> str:
    """What became of it."""
    try:
        return "repaired" if counter.repair_counter(counter_id) else "changed meanwhile, left alone"
    except OperationalError as error:
        return f"not repaired, {next(iter(str(error).splitlines()), 'no reason given')}"
