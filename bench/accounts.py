"""Accounts with todos, many at once, and their deletion, asked for all in one moment."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from bench.instance import PASSWORD, Instance
from bench.waiting import wait_until

MOST_SECONDS = 900

ADD_ACCOUNTS = """
INSERT INTO users_user (id, password, is_superuser, username, email, is_staff, is_active,
                        created_at, updated_at)
SELECT uuidv7(), '!', false, 'account ' || gen_random_uuid(), '', false, true, now(), now()
FROM generate_series(1, %s)
RETURNING id
"""

ADD_OWNERS = """
INSERT INTO todos_owner (id, username, purged_rows) SELECT unnest(%s::uuid[]), 'owner', 0
ON CONFLICT DO NOTHING
"""

# Account by account, so that what is compared is how many rows each has, and not how they lie.
ADD_TODOS = """
INSERT INTO {table} (id, owner_id, title, content, category, tags, visibility, created_at,
                     updated_at, version)
SELECT uuidv7(), owner, 'todo number ' || number, '', '', '{{}}', 'private', now(), now(), 1
FROM generate_series(1, %s) AS number CROSS JOIN unnest(%s::uuid[]) AS owner
ORDER BY owner
"""

CLOSE = "UPDATE users_user SET closed_at = now() WHERE id = ANY (%s)"
REQUEST = """
INSERT INTO users_deletion (id, user_id, state, requested_at, starts_at)
SELECT gen_random_uuid(), unnest(%s::uuid[]), 'scheduled', now(), now()
"""
ADD_STEPS = """
INSERT INTO users_deletionstep (deletion_id, app, state, deleted, next_at, failures, last_error)
SELECT deletion.id, app, 'pending', 0, now(), 0, ''
FROM users_deletion AS deletion CROSS JOIN unnest(ARRAY['todos', 'counter']) AS app
WHERE user_id = ANY (%s)
"""


def add_accounts(epis: Instance, number: int) -> list[UUID]:
    """Nobody signs in to them."""
    return [row[0] for row in epis.connection("default").execute(ADD_ACCOUNTS, [number])]


def add_todos(epis: Instance, owner_ids: Sequence[UUID], each: int) -> None:
    database = epis.connection("todos")
    database.execute(ADD_OWNERS, [list(owner_ids)])
    fill(database, "todos_todo", owner_ids, each)


def fill(
    database: "psycopg.Connection[Any]", table: str, owner_ids: Sequence[UUID], each: int
) -> None:
    """So many rows for each, with the table as it is when it has been there for a while."""
    with _without_search(database, table):
        database.execute(ADD_TODOS.format(table=table), [each, list(owner_ids)])
    database.execute(f"VACUUM (ANALYZE) {table}")
    database.execute("CHECKPOINT")


@contextmanager
def _without_search(database: "psycopg.Connection[Any]", table: str) -> Iterator[None]:
    """The indexes for searching cost more than all the rest to fill row by row."""
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef LIKE %s"
    indexes = database.execute(query, [table, "%USING gin%"]).fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    yield
    for _, definition in indexes:
        database.execute(definition)


class Leaver:
    """An account that signs in, so that its deletion can be asked for over HTTP."""

    def __init__(self, epis: Instance) -> None:
        self._epis = epis
        account = {"username": f"leaver-{time.monotonic_ns()}", "password": PASSWORD}
        self.id = UUID(epis.call("POST", "/api/users/", account)["id"])
        token = epis.call("POST", "/api/auth/tokens/", account)["token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def delete(self) -> None:
        self._epis.call("DELETE", f"/api/users/{self.id}/", headers=self._headers)


def delete_at_once(
    epis: Instance,
    others: Sequence[UUID],
    last: Leaver,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> float:
    """Have all of them deleted; in how many seconds they were, from the request to the last.

    The request is committed for the others in one moment. That of the last follows over HTTP
    right behind it, and rings for all.
    """
    database, ids = epis.connection("default"), list(others)
    with database.transaction():
        database.execute(CLOSE, [ids])
        database.execute(REQUEST, [ids])
        database.execute(ADD_STEPS, [ids])
        began = _one(database, "SELECT clock_timestamp()")
    last.delete()

    def is_done() -> bool:
        meanwhile()
        return bool(_one(database, "SELECT count(*) = 0 FROM users_deletion WHERE state <> 'done'"))

    wait_until(f"{len(ids) + 1:,} deleted", is_done, seconds=MOST_SECONDS, every=0.05)
    ended = _one(database, "SELECT max(finished_at) FROM users_deletion")
    seconds: float = (ended - began).total_seconds()
    return seconds


def _one(database: "psycopg.Connection[Any]", query: str) -> Any:
    row = database.execute(query).fetchone()
    return row[0] if row else None
