"""How much is measured: the numbers that whoever starts a run may change."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run. Seconds are those of one load."""

    # On a disk, and open to the servers' user; /tmp may be memory, where fsync costs nothing.
    folder: Path = Path("/var/tmp")  # noqa: S108 - a private folder is made in it  # nosec B108
    rounds: int = 5
    seconds: int = 6
    connections: int = 64
    web_workers: int = 2
    web_threads: int = 16
    other_threads: int = 4
    backlog: int = 1_000_000
    ledger: int = 10_000_000
    todos: int = 1_000_000
    accounts: int = 10_000

    @property
    def warm_up_seconds(self) -> int:
        return min(self.seconds, 2)


QUICK = {
    "rounds": 1,
    "seconds": 2,
    "backlog": 50_000,
    "ledger": 200_000,
    "todos": 50_000,
    "accounts": 500,
}
