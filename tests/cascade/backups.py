"""Dumps of whole databases, put back while the others are newer."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connections
from psycopg import sql

from tests.people import EVERYWHERE


class Backups:
    """A copy of each database, made by PostgreSQL itself with all its rows, as a template."""

    def __init__(self) -> None:
        self._names = {alias: connections[alias].settings_dict["NAME"] for alias in EVERYWHERE}

    def take(self) -> None:
        """Of all three, as they are now."""
        with self._server() as server:
            for name in self._names.values():
                _drop(server, _dump(name))
                _copy(server, name, _dump(name))

    def put_back(self, *aliases: str) -> None:
        """These are then as they were when the backup was taken, the others as they are now."""
        with self._server() as server:
            for alias in aliases:
                _drop(server, self._names[alias])
                _copy(server, _dump(self._names[alias]), self._names[alias])

    def remove(self) -> None:
        with self._server() as server:
            for name in self._names.values():
                _drop(server, _dump(name))

    @contextmanager
    def _server(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        """Nobody may be connected to a database that is copied or put back."""
        connections.close_all()
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


def _dump(name: str) -> str:
    return f"{name}_dump"


def _drop(server: "psycopg.Connection[tuple[object, ...]]", name: str) -> None:
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    server.execute(drop.format(sql.Identifier(name)))


def _copy(server: "psycopg.Connection[tuple[object, ...]]", source: str, copy: str) -> None:
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    server.execute(create.format(sql.Identifier(copy), sql.Identifier(source)))


@pytest.fixture
def backups() -> Iterator[Backups]:
    taken = Backups()
    yield taken
    taken.remove()
