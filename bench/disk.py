"""How fast the disk is, by itself."""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

FSYNCS = 300
PAGE = bytes(8192)
MEBIBYTE = 2**20
WRITTEN = 64  # of those


def fsync_ms(folder: Path) -> float:
    """The median of some commits as PostgreSQL does them: overwrite a page, then fdatasync."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
        for _ in range(FSYNCS):
            began = time.perf_counter()
            os.pwrite(descriptor, PAGE, 0)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - began)
    return median(took) * 1000


def mebibytes_per_second(folder: Path) -> float:
    """Of a file that is written in one go, and waited for.

    A disk that many share is often held back behind long writing, and a figure that depends on it
    says little without it.
    """
    block = os.urandom(MEBIBYTE)  # no disk can make less of it
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
        began = time.perf_counter()
        for _ in range(WRITTEN):
            os.write(descriptor, block)
        os.fdatasync(descriptor)
        return WRITTEN / (time.perf_counter() - began)
