"""The history: every request that a client sent, and what it was answered, with the times.

Times are seconds since the round began, by one monotonic clock. An answer that never came has
neither `ended` nor `status`: what was asked for may or may not have happened.
"""

import gzip
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NEVER = float("inf")


@dataclass(slots=True)
class Exchange:
    """One request and its answer. `subject` is the id of what it is about."""

    client: str
    what: str
    subject: str
    sent: Any
    began: float
    ended: float | None = None
    status: int | None = None
    answer: Any = None

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_open(self) -> bool:
        """Whether it may have taken effect, or may not: nobody was told."""
        return self.status is None or self.status >= 500

    @property
    def is_to_be_sent_again(self) -> bool:
        """Whether the answer says so: too many, or the first attempt is still worked on."""
        in_flight = self.status == 409 and self.answer.get("code") == "key_in_flight"
        return self.status == 429 or in_flight

    @property
    def may_have_happened(self) -> bool:
        return self.succeeded or self.is_open

    @property
    def known_by(self) -> float:
        """When its effect was known outside, or never."""
        return NEVER if self.ended is None else self.ended


class History:
    """Grows from many threads; is read when they have ended."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._start = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._start

    def add(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)  # atomic in CPython

    def write(self, path: Path) -> None:
        with gzip.open(path, "wt", encoding="utf-8") as file:
            for exchange in self.exchanges:
                file.write(json.dumps(asdict(exchange), separators=(",", ":")) + "\n")


def read(path: Path) -> Iterable[Exchange]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield Exchange(**json.loads(line))
