"""Fills the databases with something to look at."""

import random
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management import BaseCommand
from django.utils import timezone
from tqdm import tqdm

from apps.counter import public as counter
from apps.todos import public as todos
from apps.users import public as users

BIRDS = [
    *("heron", "wren", "linnet", "osprey", "plover", "siskin"),
    *("dunlin", "merlin", "avocet", "bittern", "curlew", "fulmar"),
]
WORK = {
    "home": ["water the tomatoes", "descale the kettle", "mend the gate", "정원에 물을 주다"],
    "errands": ["return the library books", "collect the parcel", "우유를 사다", "牛乳を買う"],
    "work": ["review the migration plan", "answer the auditors", "write the release notes"],
    "": ["call the dentist", "sort the photographs", "learn one song by heart"],
}
TAGS = ["soon", "five-minutes", "outdoors", "waiting", "with-others"]
TALLIES = ["coffees", "pull-ups", "pages read", "birds seen"]


class Command(BaseCommand):
    help = (
        "Register users with todos and counters, so that there is something to look at. The "
        "same seed makes the same data but for the dates; users already there are left alone."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--users", type=int, default=12, help="how many users (default 12)")
        parser.add_argument("--todos", type=int, default=40, help="todos each (default 40)")
        parser.add_argument("--increments", type=int, default=60, help="of each user (default 60)")
        parser.add_argument("--password", default="a-bird-in-the-hand", help="of every user")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *args: Any, **options: Any) -> None:
        names = [
            bird if round_ == 0 else f"{bird}{round_ + 1}"
            for round_ in range(options["users"] // len(BIRDS) + 1)
            for bird in BIRDS
        ][: options["users"]]
        new = 0
        for name in tqdm(names, unit=" users", disable=None, leave=False):
            if users.find_user_id(name) is None:
                email = f"{name}@example.org"
                chance = random.Random(f"{options['seed']} {name}")  # noqa: S311  (no secret)  # nosec B311
                user_id = users.open_account(
                    username=name, password=options["password"], email=email
                )
                self._add_todos(user_id, chance, options["todos"])
                self._count(user_id, chance, options["increments"])
                new += 1
        if options["verbosity"] > 0:
            self.stdout.write(
                f"{new} users added, {len(names) - new} were there; "
                f"sign in as {names[0] if names else 'nobody'} with {options['password']}"
            )

    def _add_todos(self, user_id: UUID, chance: random.Random, number: int) -> None:
        now = timezone.now()
        for _ in range(number):
            category = chance.choice(list(WORK))
            todos.add_todo(
                owner_id=user_id,
                title=chance.choice(WORK[category]),
                category=category,
                tags=chance.sample(TAGS, chance.randint(0, 3)),
                due_at=chance.choice([None, now + timedelta(days=chance.randint(-10, 30))]),
                completed=chance.random() < 0.4,
                visibility="public" if chance.random() < 0.2 else "private",
            )

    def _count(self, user_id: UUID, chance: random.Random, number: int) -> None:
        counters = [counter.open_counter(owner_id=user_id, name=name) for name in TALLIES]
        for _ in range(number):
            counter.increment(
                counter_id=chance.choice(counters), owner_id=user_id, amount=chance.randint(1, 3)
            )
