"""What an earlier supervisor left running when it was killed itself.

Every child carries a mark in its environment and so do all its descendants. A mark can't be
mistaken the way a process number in a file can, which by the next start may be a stranger's.
The servers overwrite their environment; they find their own orphans by their folder.
"""

import os
import signal
import time
from pathlib import Path

import psutil

MARK = "EPIS_UP_OF"
PATIENCE_SECONDS = 10


def leftovers(data: Path) -> list[psutil.Process]:
    """The living processes that an earlier `up` on this folder has started."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK) == str(data)
        except (psutil.Error, OSError):
            continue  # gone meanwhile, not yet buried by its parent, or somebody else's
        if marked and process.pid != os.getpid():
            found.append(process)
    return found


def end_leftovers(data: Path) -> int:
    """End them all, gently first, and tell how many there were."""
    found = remaining = leftovers(data)
    for with_signal in (signal.SIGTERM, signal.SIGKILL):
        for process in remaining:
            try:
                process.send_signal(with_signal)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (remaining := leftovers(data)) and time.monotonic() < deadline:
            time.sleep(0.05)
    return len(found)
