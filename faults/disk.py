"""A small disk for the broker, so that it can be full.

It is a file system in memory, which only root on Linux may mount. For anybody else there is no
way to fill a folder without filling the disk: a quota needs root too, and a limit on the size of
files (RLIMIT_FSIZE) kills the broker, which is another fault.
"""

import os
import subprocess  # nosec B404
import sys

from epis.embedded.ground import prepare_home, private_folder
from epis.embedded.locations import Locations

MEGABYTES = 24
FILLER = "filler"


class SmallDisk:
    """The folder of the broker's data. Nothing happens where it cannot be mounted."""

    def __init__(self, locations: Locations) -> None:
        self._locations = locations
        self._folder = locations.servers / "valkey"
        self.is_mounted = False

    def mount(self) -> None:
        if os.geteuid() != 0 or sys.platform != "linux":
            return
        private_folder(self._folder, prepare_home(self._locations))
        command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(self._folder)]
        self.is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603  # nosec B603

    def fill(self) -> None:
        """Leave no byte."""
        if not self.is_mounted:
            return
        with (self._folder / FILLER).open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 65536):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        (self._folder / FILLER).unlink(missing_ok=True)

    def unmount(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", self._folder], capture_output=True, check=False)  # noqa: S603  # nosec B603 B607
            self.is_mounted = False
