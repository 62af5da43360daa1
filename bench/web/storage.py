"""Where the alternatives keep their counts, and how each adds one.

A connection is one thread's for ever, over the unix socket. To PostgreSQL it is in
autocommit, with prepared statements and without Django around it: no router, no health
check, no hooks.
"""

import threading
from typing import Any

import psycopg
import redis
from django.conf import settings

REDIS_KEY = "bench-count"
HOT, KEYED, KEYED_AT_ONCE, CELERY = range(1, 5)

# The page of the hot row is kept nearly empty: every new version finds room beside the old
# one and touches no index (a HOT update).
CREATE = """
CREATE TABLE bench_hot (id int PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO bench_hot SELECT id, 0 FROM generate_series(1, 4) AS id;
CREATE TABLE bench_key (key text PRIMARY KEY);
"""

_of_this_thread = threading.local()


def create(connection: "psycopg.Connection[Any]") -> None:
    """Make the tables, with every count at zero."""
    connection.execute(CREATE)


def value_of(connection: "psycopg.Connection[Any]", row: int) -> int:
    """What this row has counted."""
    return _value(connection.execute("SELECT value FROM bench_hot WHERE id = %s", [row]))


def database() -> "psycopg.Connection[Any]":
    """This thread's connection to the counter's database."""
    if not hasattr(_of_this_thread, "connection"):
        address = settings.DATABASES["counter"]
        _of_this_thread.connection = psycopg.connect(
            host=address["HOST"],
            port=address["PORT"],
            user=address["USER"],
            dbname=address["NAME"],
            autocommit=True,
            prepare_threshold=0,
        )
    connection: psycopg.Connection[Any] = _of_this_thread.connection
    return connection


def add_one(row: int) -> int:
    """(a) The plain hot row."""
    cursor = database().execute(
        "UPDATE bench_hot SET value = value + 1 WHERE id = %s RETURNING value", [row]
    )
    return _value(cursor)


def add_one_once(key: str) -> int:
    """(b) The hot row and its key in one transaction. A repeated key counts nothing."""
    with database().transaction():
        inserted = database().execute(
            "INSERT INTO bench_key (key) VALUES (%s) ON CONFLICT DO NOTHING", [key]
        )
        return add_one(KEYED) if inserted.rowcount else value_of(database(), KEYED)


def add_one_once_at_once(key: str) -> int:
    """(b) again, with the whole transaction in one statement: one round trip, a shorter lock."""
    cursor = database().execute(
        """
        WITH fresh AS (INSERT INTO bench_key (key) VALUES (%s) ON CONFLICT DO NOTHING RETURNING key)
        UPDATE bench_hot SET value = value + 1
        WHERE id = %s AND EXISTS (SELECT FROM fresh)
        RETURNING value
        """,
        [key, KEYED_AT_ONCE],
    )
    return _value(cursor) if cursor.rowcount else value_of(database(), KEYED_AT_ONCE)


def add_one_in_redis() -> int:
    """(d) On the server that is epis' broker."""
    if not hasattr(_of_this_thread, "redis"):
        path = settings.BROKER_URL.removeprefix("redis+socket://").partition("?")[0]
        _of_this_thread.redis = redis.Redis(unix_socket_path=path, single_connection_client=True)
    return int(_of_this_thread.redis.incr(REDIS_KEY))


def _value(cursor: "psycopg.Cursor[Any]") -> int:
    [(value,)] = cursor.fetchall()
    return int(value)
