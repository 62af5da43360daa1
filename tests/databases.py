"""The server with the tests' databases, for tests that make databases of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from psycopg import sql

Server = psycopg.Connection[tuple[object, ...]]


@contextmanager
def connected_to_server() -> Iterator[Server]:
    named = connections["default"].settings_dict
    with psycopg.connect(
        host=named["HOST"],
        port=named["PORT"],
        user=named["USER"],
        password=named["PASSWORD"],
        dbname="postgres",
        autocommit=True,
    ) as server:
        yield server


def create_database(server: Server, name: str, *, like: str = "template1") -> None:
    """An empty one, or a copy, with all its rows, of one that nobody is connected to."""
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    server.execute(create.format(sql.Identifier(name), sql.Identifier(like)))


def drop_database(server: Server, name: str) -> None:
    """Whoever is connected to it is sent away."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    server.execute(drop.format(sql.Identifier(name)))
