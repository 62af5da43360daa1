"""The databases at rest: all that the judges look at, read past epis, as plain rows."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

APPS = ("todos", "counter")
Connections = Mapping[str, "psycopg.Connection[Any]"]


class Increment(NamedTuple):
    """`place` and `result` are None as long as it is pending."""

    counter: str
    key: str
    id: str
    amount: int
    place: int | None
    result: int | None


class Counter(NamedTuple):
    owner: str
    value: int
    entries: int


class Todo(NamedTuple):
    owner: str
    title: str
    version: int


class Owner(NamedTuple):
    username: str
    has_tombstone: bool
    purged_rows: int


class User(NamedTuple):
    username: str
    is_closed: bool


class Deletion(NamedTuple):
    """`deleted` by app."""

    user: str
    state: str
    deleted: Mapping[str, int]


@dataclass
class AtRest:
    """One snapshot; everything by its id, in the order of requests where there is one."""

    increments: list[Increment] = field(default_factory=list)
    counters: dict[str, Counter] = field(default_factory=dict)
    todos: dict[str, Todo] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    deletions: list[Deletion] = field(default_factory=list)
    owners: dict[str, dict[str, Owner]] = field(default_factory=dict)  # by app
    # Of whom there are rows in each table that has an `owner_id`.
    owned: dict[str, list[str]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        with gzip.open(path, "wt", encoding="utf-8") as file:
            json.dump(vars(self), file, separators=(",", ":"))


INCREMENTS = """
SELECT counter_id::text, key, id::text, amount, place, result
FROM counter_increment ORDER BY counter_id, place
"""
COUNTERS = "SELECT id::text, owner_id::text, value, entries FROM counter_counter"
TODOS = "SELECT id::text, owner_id::text, title, version FROM todos_todo"
USERS = "SELECT id::text, username, closed_at IS NOT NULL FROM users_user"
DELETIONS = """
SELECT deletion.user_id::text, deletion.state,
       (SELECT json_object_agg(app, deleted) FROM users_deletionstep AS step
        WHERE step.deletion_id = deletion.id)
FROM users_deletion AS deletion ORDER BY requested_at
"""
OWNERS = {
    app: f"SELECT id::text, username, tombstoned_at IS NOT NULL, purged_rows FROM {app}_owner"  # nosec B608
    for app in APPS
}
OWNED_TABLES = """
SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE attname = 'owner_id' AND NOT attisdropped AND relkind IN ('r', 'p')
"""

# What is still to be done; nothing of it may be left at rest.
UNFINISHED = {
    "increments that are pending": ("counter", "SELECT count(*) FROM counter_pending"),
    "counters that are going": (
        "counter",
        "SELECT count(*) FROM counter_counter WHERE deleted_at IS NOT NULL",
    ),
    "deletions that are open": (
        "default",
        "SELECT count(*) FROM users_deletion WHERE state NOT IN ('done', 'cancelled')",
    ),
}
HEAD = "SELECT coalesce(max(position), 0) FROM users_feedhead"


def read_again(path: Path) -> AtRest:
    """What was written."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        told = json.load(file)
    return AtRest(
        increments=[Increment(*row) for row in told["increments"]],
        counters={id: Counter(*row) for id, row in told["counters"].items()},
        todos={id: Todo(*row) for id, row in told["todos"].items()},
        users={id: User(*row) for id, row in told["users"].items()},
        deletions=[Deletion(*row) for row in told["deletions"]],
        owners={
            app: {id: Owner(*row) for id, row in rows.items()}
            for app, rows in told["owners"].items()
        },
        owned=told["owned"],
    )


def read(databases: Connections) -> AtRest:
    def rows(alias: str, query: str) -> list[Any]:
        return databases[alias].execute(query).fetchall()

    owned = {
        table: [id for (id,) in rows(app, f"SELECT DISTINCT owner_id::text FROM {table}")]  # nosec B608
        for app in APPS
        for (table,) in rows(app, OWNED_TABLES)
    }
    return AtRest(
        increments=[Increment(*row) for row in rows("counter", INCREMENTS)],
        counters={id: Counter(*row) for id, *row in rows("counter", COUNTERS)},
        todos={id: Todo(*row) for id, *row in rows("todos", TODOS)},
        users={id: User(*row) for id, *row in rows("default", USERS)},
        deletions=[Deletion(*row) for row in rows("default", DELETIONS)],
        owners={
            app: {id: Owner(*row) for id, *row in rows(app, query)} for app, query in OWNERS.items()
        },
        owned=owned,
    )


def unfinished(databases: Connections) -> list[str]:
    """What is still to be done, in words; nothing when epis is at rest."""
    found = []
    for what, (alias, query) in UNFINISHED.items():
        (number,) = databases[alias].execute(query).fetchone() or (0,)
        if number:
            found.append(f"{number} {what}")
    (head,) = databases["default"].execute(HEAD).fetchone() or (0,)
    for app in APPS:
        cursor = f"SELECT coalesce(max(position), 0) FROM {app}_feedcursor"  # nosec B608
        (position,) = databases[app].execute(cursor).fetchone() or (0,)
        if position != head:
            found.append(f"{app} has not followed the users")
    return found
