"""epis as `manage.py up` runs it, on a folder and a port that nobody else has.

fsync is on, and every setting is the default, but for what is said. Whatever servers the
environment or a `.env` names are left alone.
"""

import os
import secrets
import shutil
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from epis.embedded.locations import Locations
from epis.processes import Program

PROJECT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_SECONDS = 120
STOP_SECONDS = 120
IS_UP = "epis is up"  # as `up` says it
# Empty, they are as good as missing, and a `.env` cannot name them.
NAMED_SERVERS = (
    *("USERS_DATABASE_URL", "TODOS_DATABASE_URL", "COUNTER_DATABASE_URL", "BROKER_URL"),
    "SECRET_KEY",
)


class Installation:
    """The folder, the port and the environment. What runs in it is its subclass's business.

    Use as a context: entering it makes the folder and calls `start_all`; leaving it calls `close`,
    also where the start has failed or was broken off. Outside of it nothing is there.
    """

    def __init__(self, folder: Path, name: str, **environment: str) -> None:
        self.data = folder.absolute() / f"epis-{name}-{secrets.token_hex(4)}"
        self.locations = Locations(self.data)
        self.port = _free_port()
        self.environment = {
            **os.environ,
            **dict.fromkeys(NAMED_SERVERS, ""),
            "EPIS_DATA": str(self.data),
            "PORT": str(self.port),
            "ALLOWED_HOSTS": HOST,
            "HTTPS": "false",
            "DEBUG": "false",
            "COUNTER_LANES": "1",
            **environment,
        }

    def __enter__(self) -> Self:
        try:
            self.locations.create_data_folder()
            self.start_all()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start_all(self) -> None:
        """Start epis, and wait until it can be used."""
        raise NotImplementedError

    def close(self) -> None:
        """End all that was started, and `remove` the folder."""
        raise NotImplementedError

    def program(self, name: str, *command: str) -> Program:
        """A Python program of the project, which has the environment and `said` its output."""
        return Program(
            command=(sys.executable, *command),
            folder=PROJECT,
            environment=self.environment,
            log=self._output(name),
        )

    def said(self, name: str) -> str:
        """What that program has said so far."""
        return self._output(name).read_text()

    def connect(self, alias: str) -> "psycopg.Connection[Any]":
        """To one of the databases, past epis; each statement is a transaction of its own."""
        address = self.locations.database(alias)
        return psycopg.connect(
            host=address["HOST"],
            port=address["PORT"],
            user=address["USER"],
            dbname=address["NAME"],
            autocommit=True,
            connect_timeout=5,
        )

    def remove(self) -> None:
        """Remove the folder, and what is kept elsewhere; nothing runs in it any more."""
        for each in (self.data, self.locations.servers, self.locations.sockets):
            shutil.rmtree(each, ignore_errors=True)

    def _output(self, name: str) -> Path:
        return self.data / f"{name}.out"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
