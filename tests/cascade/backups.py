"""Dumps of whole databases, put back while the others are newer."""

from collections.abc import Iterator

import pytest
from django.db import connections

from tests.databases import connected_to_server, create_database, drop_database
from tests.people import EVERYWHERE


class Backups:
    """A copy of each database, made by PostgreSQL itself with all its rows, as a template."""

    def __init__(self) -> None:
        self._names = {alias: connections[alias].settings_dict["NAME"] for alias in EVERYWHERE}

    def take(self) -> None:
        """Of all three, as they are now."""
        connections.close_all()
        with connected_to_server() as server:
            for name in self._names.values():
                drop_database(server, _dump(name))
                create_database(server, _dump(name), like=name)

    def put_back(self, *aliases: str) -> None:
        """These are then as they were when the backup was taken, the others as they are now."""
        connections.close_all()
        with connected_to_server() as server:
            for alias in aliases:
                drop_database(server, self._names[alias])
                create_database(server, self._names[alias], like=_dump(self._names[alias]))

    def remove(self) -> None:
        with connected_to_server() as server:
            for name in self._names.values():
                drop_database(server, _dump(name))


def _dump(name: str) -> str:
    return f"{name}_dump"


@pytest.fixture
def backups() -> Iterator[Backups]:
    taken = Backups()
    yield taken
    taken.remove()
