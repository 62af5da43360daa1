"""epis with one guard taken out: each must be caught, or the judges are blind.

What is Python is replaced when Django has loaded the apps; what is in the database is changed
there. epis itself knows nothing of it: `faults.settings` adds this as one more app.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from django.apps import AppConfig

Databases = Mapping[str, "psycopg.Connection[Any]"]

# Between the cursor and the names that belong to it, where they are no longer one transaction.
# Without this pause the two commits are a millisecond apart, and a kill in between is rare.
APART_SECONDS = 0.05
# Between a consumer's look at the counters and what it writes, where it has not locked them. On a
# busy machine the other one is seldom within the millisecond.
LOOKED_SECONDS = 0.02


@dataclass(frozen=True)
class Mutant:
    """What is taken out, who must find it, and what has to happen meanwhile.

    `in_code` is called in every process of epis, `in_database` once, when it is up.
    """

    what: str
    caught_by: frozenset[str]
    weather: str
    in_code: Callable[[], None] = lambda: None
    in_database: Callable[[Databases], None] = lambda databases: None


def take_out_fence() -> None:
    """Todos are created without a look at the tombstone."""
    from apps.todos import owners
    from apps.todos.operations import writing

    look = " AND tombstoned_at IS NULL"
    owners.TAKE_POSITIONS = without(owners.TAKE_POSITIONS, look)
    writing.CREATE = without(writing.CREATE, look)


def take_out_keys(databases: Databases) -> None:
    """An increment is put into the inbox whether its key is known or not."""
    database = databases["counter"]
    database.execute("ALTER TABLE counter_key DROP CONSTRAINT counter_key_pkey")
    row = database.execute("SELECT pg_get_functiondef('counter_accept'::regproc)").fetchone()
    definition = without(row[0] if row else "", "ON CONFLICT (digest) DO NOTHING")
    database.execute(definition.encode())


def take_out_consumers_locks() -> None:
    """Two consumers may work on the same counters."""
    from apps.counter import consumer

    advisory = "pg_advisory_xact_lock(%s, slot)"
    consumer.LOCK = without(consumer.LOCK, advisory, "(%s::bigint + slot)")
    batch = without(consumer.APPLY_BATCH, "    FOR NO KEY UPDATE\n")
    slowly = f"FROM standing, pg_sleep({LOOKED_SECONDS})) AS all_are_locked"
    consumer.APPLY_BATCH = without(batch, "FROM standing) AS all_are_locked", slowly)


def take_out_cursors_transaction() -> None:
    """The cursor is moved first, and what it did about the changes is written behind that."""
    from kit.holdings import Holdings
    from kit.transactions import durable

    def rename(self: Holdings, user_ids: set[UUID], *, start: int, end: int) -> None:
        people = self.directory.find_people(user_ids).values()
        with durable(self.alias):
            self.cursors._default_manager.bulk_create([self.cursors()], ignore_conflicts=True)
            if not self.cursors._default_manager.filter(id=1, position=start).update(position=end):
                return
        time.sleep(APART_SECONDS)
        with durable(self.alias):
            owners = self.owners._default_manager
            owners.bulk_create(
                [self.owners(id=person.id, username=person.username) for person in people],
                ignore_conflicts=True,
            )
            for person in people:
                alive = owners.filter(id=person.id, tombstoned_at=None)
                alive.update(username=person.username)

    Holdings.rename = rename  # type: ignore[method-assign]


def take_out_sweep() -> None:
    """Nobody looks unless a bell was heard."""
    from epis.celery import app

    app.conf.beat_schedule = {}


MUTANTS = {
    "fence": Mutant(
        "creating does not look at the tombstone",
        caught_by=frozenset({"orphans", "certificates"}),
        weather="slow todos",
        in_code=take_out_fence,
    ),
    "keys": Mutant(
        "keys are not unique",
        caught_by=frozenset({"doubled"}),
        weather="none",
        in_database=take_out_keys,
    ),
    "consumer": Mutant(
        "the consumer takes no lock",
        caught_by=frozenset({"sequence", "tickets", "totals", "doubled"}),
        weather="two consumers",
        in_code=take_out_consumers_locks,
    ),
    "cursor": Mutant(
        "the cursor moves in a transaction of its own",
        caught_by=frozenset({"renames"}),
        weather="hail on one part",
        in_code=take_out_cursors_transaction,
    ),
    "sweep": Mutant(
        "nothing is swept",
        caught_by=frozenset({"rest"}),
        weather="none",
        in_code=take_out_sweep,
    ),
}


def without(text: str, guard: str, instead: str = "") -> str:
    """Raises ValueError where the guard is not found: then it would not be taken out."""
    if guard not in text:
        raise ValueError(f"not found, so it cannot be taken out: {guard}")
    return text.replace(guard, instead)


class Mutants(AppConfig):
    """Takes out what the run says, in this process."""

    name = "faults.mutants"
    label = "faults_mutants"

    def ready(self) -> None:
        from faults.settings import MUTANT

        if MUTANT:
            MUTANTS[MUTANT].in_code()
