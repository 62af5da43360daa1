"""How epis runs another program: in a session of its own, and never longer than itself.

The session keeps a terminal's ctrl-C away from the program, so that whoever started it can
stop it in order. On Linux the kernel signals the program when its starter dies, even by
SIGKILL. Start programs from the main thread only: the kernel ties that promise to the thread.
"""

import contextlib
import ctypes
import os
import signal
import subprocess  # nosec B404
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """Whom a program runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """All that is needed to start a program and to stop it well."""

    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    account: Account | None = None
    # What asks for an orderly end, and what to do to a program that does not heed it.
    stop_signal: Signals = signal.SIGTERM
    last_signal: Signals = signal.SIGKILL

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(  # nosec B603  # noqa: S603
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_starter(self.stop_signal),
                **run_as(self.account),
            )


def run_as(account: Account | None) -> dict[str, Any]:
    """The arguments of subprocess that make it so; none to stay who we are."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def end_with_starter(with_signal: Signals) -> Callable[[], None] | None:
    """A preexec_fn: this process's death, however sudden, sends the child the signal."""
    if LIBC is None:
        return None
    starter = os.getpid()
    prctl = LIBC.prctl

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, int(with_signal))
        if os.getppid() != starter:  # it died before the kernel knew whom to tell
            os._exit(1)

    return in_child


def has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether the process is gone; if so, whatever it left behind in its session is ended too.

    The remains are signalled before the number is given back to the kernel, so that no
    stranger can have got it meanwhile.
    """
    if process.returncode is None:
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if os.waitid(os.P_PID, process.pid, options) is None:
            return False
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
    return True


def signal_group(leader: int, with_signal: Signals) -> None:
    """Signal everyone in the process group; nobody there is fine."""
    # macOS says "not permitted" of a group in which only a zombie is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, with_signal)


def how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    code = process.returncode
    return f"exit code {code}" if code >= 0 else f"killed by {Signals(-code).name}"
