"""What must hold before anything is started: one supervisor per folder, and a free port."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from epis.embedded.ground import CannotStart
from epis.embedded.locations import Locations


@contextmanager
def only_one(locations: Locations) -> Iterator[None]:
    """Hold the data folder's lock. The kernel gives it back however we end."""
    try:
        locations.create_data_folder()
        lock = (locations.run / "up.lock").open("a+")
    except OSError as error:
        raise CannotStart(f"cannot write to the data folder: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"epis is already running on {locations.data} (pid {lock.read().strip()}): "
                f"stop it first, or name another folder with EPIS_DATA"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def demand_free_port(host: str, port: int) -> None:
    """Raises CannotStart if nobody could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"port {port} cannot be used ({error.strerror}): choose another with PORT"
            ) from error
