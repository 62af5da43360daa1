"""How long and how much: the numbers that whoever starts a run may change."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.installation import PROJECT

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run. Seconds are those in which faults are thrown, of one round.

    `counting` and what follows are how many clients there are of each kind.
    """

    rounds: int = 5
    seconds: int = 45
    seed: int = field(default_factory=lambda: secrets.randbelow(10**6))
    # On a disk, and open to the servers' user; every round has a private folder in it.
    folder: Path = Path("/var/tmp")  # noqa: S108  # nosec B108
    out: Path = PROJECT / "var" / "faults"
    counting: int = 5
    reading: int = 2
    writing: int = 2
    living: int = 3
    grace: int = 1  # seconds in which a deletion can be cancelled
