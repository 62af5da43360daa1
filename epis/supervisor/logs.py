"""Keeps the parts' log files from growing without end."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
LOOK_EVERY_SECONDS = 5.0


class LogKeeper:
    """Keeps each log at about the limit, and one older file beside it."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._next_look = 0.0

    def look(self) -> None:
        """Cheap to call often: looks at the disk now and then only."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_EVERY_SECONDS
        for log in self._folder.glob("*.log"):
            # On a full disk: the next look may fare better, and the parts go on.
            with suppress(OSError):
                self._shorten(log)

    def _shorten(self, log: Path) -> None:
        if log.stat().st_size > self._limit_bytes:
            # Copied and emptied, not renamed: the part keeps writing to the file it has
            # open, and it appends.
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
