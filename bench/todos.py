"""A million todos of ten thousand people, and what is asked of them, in SQL by hand."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from apps.todos.queries.listing import order_of, statement
from bench.accounts import add_accounts
from bench.errors import CannotMeasure
from bench.instance import PASSWORD, Instance
from harness.installation import HOST
from kit.directory import Viewer

Name = TypeVar("Name")

# Of 1,500 words each text takes some at random; one in a thousand texts has the rare ones too.
WORDS = 1_500
RARE, RARE_PART = "zymurgy", "우유"

FILL = """
WITH words AS MATERIALIZED (
    SELECT array_agg(substr(md5(number::text), 1, 3 + number %% 6)) AS word
    FROM generate_series(1, %(words)s) AS number
)
INSERT INTO todos_todo (id, owner_id, title, content, category, tags, due_at, completed_at,
                        visibility, created_at, updated_at, version)
SELECT uuidv7(make_interval(secs => number / 1000.0 - 2000000)), owner,
       concat_ws(' ', {0}, {1}, {2}, CASE WHEN {any} %% 1000 = 0 THEN %(rare)s END),
       CASE WHEN {any} %% 2 = 0
            THEN concat_ws(' ', {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10},
                           CASE WHEN {any} %% 500 = 0 THEN %(part)s END)
            ELSE '' END,
       (ARRAY['work', 'home', 'errands', ''])[1 + {other} %% 4],
       string_to_array((ARRAY['', 'soon', 'soon outdoors'])[1 + {other} / 4 %% 3], ' '),
       CASE WHEN {other} / 16 %% 2 = 0
            THEN now() + make_interval(days => ({other} / 64 %% 60 - 30)::int) END,
       CASE WHEN {other} / 4096 %% 5 < 2 THEN now() END,
       CASE WHEN {any} / 4096 %% 50 = 0 THEN 'public' ELSE 'private' END,
       now(), now(), 1
FROM words, generate_series(1, %(each)s) AS turn
CROSS JOIN LATERAL unnest(%(owners)s::uuid[]) WITH ORDINALITY AS person (owner, place)
CROSS JOIN LATERAL (SELECT (turn - 1) * cardinality(%(owners)s::uuid[]) + place AS number) AS row
"""
RANDOM = "abs(hashint8(number * 16 + {}) / 2)"
FILL = FILL.format(
    *(f"word[1 + {RANDOM.format(place)} %% %(words)s]" for place in range(11)),
    any=RANDOM.format(11),
    other=RANDOM.format(12),
)

COLUMNS = """
todo.id, todo.owner_id, title, content, category, tags, due_at, completed_at, visibility,
created_at, updated_at, deleted_at, version, todo.position, key, owner.id, username,
tombstoned_at, purged_rows, purged_at, owner.position, swept_position
"""
FROM = f"""
SELECT {COLUMNS}
FROM todos_todo AS todo JOIN todos_owner AS owner ON owner.id = owner_id
WHERE tombstoned_at IS NULL AND deleted_at IS NULL
"""  # noqa: S608 - of names only  # nosec B608
OWN = "owner_id = %(me)s"


def page(**wanted: Any) -> tuple[str, dict[str, Any]]:
    """The first page of what somebody may see: the very statement that epis sends, and what for."""
    order = order_of([], searched="search" in wanted)
    return statement(Viewer(UUID(int=0)), wanted, order, 51), wanted


ILIKE = f"""
{FROM} AND ({OWN} OR visibility = 'public')
AND (title ILIKE '%%' || %(search)s || '%%' OR content ILIKE '%%' || %(search)s || '%%')
ORDER BY 1 DESC LIMIT 51
"""
ONE = f"{FROM} AND ({OWN} OR visibility = 'public') AND todo.id = %(id)s"
CREATE = """
WITH turn AS (
    UPDATE todos_owner SET position = position + 1 WHERE id = %(me)s AND tombstoned_at IS NULL
    RETURNING username, position
)
INSERT INTO todos_todo (id, owner_id, title, content, category, tags, visibility, created_at,
                        updated_at, version, position)
SELECT uuidv7(), %(me)s, %(title)s, '', '', %(tags)s, 'private', now(), now(), 1, position
FROM turn
RETURNING position, (SELECT username FROM turn)
"""


def fill(epis: Instance, todos: int, people: int, me: UUID) -> None:
    """Spread so many todos over so many people, of whom `me` is one."""
    owners = [*add_accounts(epis, people - 1), me]
    database = epis.connection("todos")
    database.execute(
        "INSERT INTO todos_owner (id, username, purged_rows) "
        "SELECT id, 'person ' || place, 0 "
        "FROM unnest(%s::uuid[]) WITH ORDINALITY AS person (id, place) ON CONFLICT DO NOTHING",
        [owners],
    )
    indexes = database.execute(
        "SELECT indexname, indexdef FROM pg_indexes "
        "WHERE tablename = 'todos_todo' AND indexdef LIKE %s",
        ["%USING gin%"],
    ).fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    told = {"words": WORDS, "each": todos // people, "owners": owners}
    database.execute(FILL, {**told, "rare": RARE, "part": f"딸기{RARE_PART}를"})
    for _, definition in indexes:
        database.execute(definition)
    database.execute("VACUUM (ANALYZE) todos_todo, todos_owner")
    database.execute("CHECKPOINT")


class Client:
    """One person, on one lasting connection, one request after the other."""

    def __init__(self, epis: Instance, token: str) -> None:
        self._connection = http.client.HTTPConnection(HOST, epis.port, timeout=60)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the answer says. Raises CannotMeasure if it is refused."""
        return json.loads(self.receive(method, path, body))

    def receive(self, method: str, path: str, body: Any = None) -> bytes:
        """The answer as it comes. Raises CannotMeasure if it is refused."""
        content = None if body is None else json.dumps(body)
        try:
            status, text = self._send(method, path, content)
        except (http.client.HTTPException, OSError):  # it was idle for so long that it was closed
            self._connection.close()
            status, text = self._send(method, path, content)
        if status >= 400:
            raise CannotMeasure(f"{method} {path}: {status} {text[:300].decode()}")
        return text

    def _send(self, method: str, path: str, content: str | None) -> tuple[int, bytes]:
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def sign_up(epis: Instance, name: str) -> tuple[UUID, str]:
    """A new account's id, and a token."""
    account = {"username": name, "password": PASSWORD}
    user_id = UUID(epis.call("POST", "/api/users/", account)["id"])
    return user_id, epis.call("POST", "/api/auth/tokens/", account)["token"]


def receive(database: "psycopg.Connection[Any]", query: str, told: dict[str, Any]) -> None:
    """All rows, as they come: nothing is made of them."""
    database.execute(query, told)


def milliseconds(action: Callable[[], object], times: int) -> list[float]:
    """How long it takes, each of so many times."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def in_turn(actions: Mapping[Name, Callable[[], object]], times: int) -> dict[Name, list[float]]:
    """How long each takes, in milliseconds, each of so many times: one of each, in an order that
    changes from turn to turn. What was asked before leaves caches warm or cold."""
    taken: dict[Name, list[float]] = {name: [] for name in actions}
    for turn in range(times):
        order = list(actions)
        Random(turn).shuffle(order)  # noqa: S311 - nothing is kept secret by it  # nosec B311
        for name in order:
            taken[name] += milliseconds(actions[name], 1)
    return taken


def plan_of(database: "psycopg.Connection[Any]", query: str, told: dict[str, Any]) -> str:
    """How PostgreSQL runs it, in its own words."""
    rows = database.execute(f"EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF) {query}", told).fetchall()
    return "\n".join(line for (line,) in rows)
