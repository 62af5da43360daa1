"""Where the embedded servers keep their files and listen, told by EPIS_DATA alone.

Any process that is given the same EPIS_DATA computes the same answer, so a shell opened
beside `manage.py up` finds the servers without asking anybody.
"""

import hashlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any

# Where root's servers keep their files when their own system user, whom PostgreSQL demands,
# cannot reach the data folder.
OUT_OF_ROOTS_HOME = Path("/var/lib/epis")

# Longer socket paths are refused by the kernel: 107 bytes on Linux, 103 on macOS.
SOCKET_PATH_LIMIT = 103
# libpq and PostgreSQL read a comma as "and another folder", a URL has its own ideas of % and ?.
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
POSTGRES_PORT = 5432


class Locations:
    """Every address below one data folder. Creates nothing."""

    def __init__(self, data: Path) -> None:
        self.data = data.resolve()
        self._digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        self.logs = self.data / "log"
        self.run = self.data / "run"
        self.servers = self._servers()
        self.sockets = self._sockets()
        self.valkey_socket = self.sockets / "valkey.sock"

    @property
    def name(self) -> str:
        """Short and the same for ever; tells one data folder's processes from another's."""
        return self._digest[:8]

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{self.valkey_socket}?virtual_host=0"

    def database(self, alias: str) -> dict[str, Any]:
        """What Django's DATABASES needs to know about one of our databases."""
        return {
            "NAME": "epis_users" if alias == "default" else f"epis_{alias}",
            "HOST": str(self.sockets),
            "PORT": str(POSTGRES_PORT),
            "USER": "epis",
        }

    def create_data_folder(self) -> None:
        """Make the folder and what is expected in it, where it is not there yet."""
        create_passable(self.data)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.run.mkdir(mode=0o700, exist_ok=True)

    def _servers(self) -> Path:
        inside = self.data / "servers"
        outside = OUT_OF_ROOTS_HOME / self._digest
        if os.geteuid() != 0:
            return inside
        # Once chosen it stays, though somebody may chmod a parent folder later.
        if outside.exists():
            return outside
        if inside.exists() or _others_may_pass(self.data):
            return inside
        return outside

    def _sockets(self) -> Path:
        beside = self.servers / "sockets"
        longest = os.fsencode(beside / f".s.PGSQL.{POSTGRES_PORT}")
        if len(longest) <= SOCKET_PATH_LIMIT and PLAIN_PATH.fullmatch(str(beside)):
            return beside
        # Not tempfile.gettempdir(): TMPDIR may differ from one terminal to the next.
        return Path("/tmp") / f"epis-{self._digest}"  # noqa: S108 - made private, or refused  # nosec B108


def create_passable(folder: Path) -> None:
    """Make the folder and its missing parents so that others may pass through, but not look.

    Passing must be possible whatever the umask: root's servers run as another user.
    """
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            each.mkdir(exist_ok=True)
            each.chmod(0o711)


def _others_may_pass(folder: Path) -> bool:
    existing = (each for each in (folder, *folder.parents) if each.exists())
    return all(each.stat().st_mode & stat.S_IXOTH for each in existing)


def secret_key(locations: Locations) -> str:
    """The random key kept in the data folder, created at first use.

    Whoever comes second, even at the same moment, gets the first one's key. Where the folder
    cannot be used the program ends with one line: no command of epis can run without it.
    """
    kept = locations.data / "secret_key"
    try:
        if not kept.exists():
            locations.create_data_folder()
            _create_once(kept, secrets.token_urlsafe(64))
        return kept.read_text()
    except OSError as error:
        raise SystemExit(f"epis cannot use its data folder {locations.data}: {error}") from error


def _create_once(path: Path, content: str) -> None:
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.link(aside, path)  # unlike a rename, never replaces what is there
    except FileExistsError:
        pass
    finally:
        aside.unlink()
