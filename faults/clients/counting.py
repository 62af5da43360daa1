"""Those who count: single increments, arrays, and some who wait for the result."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faults.clients.http import Client

PAUSE_SECONDS = 0.04
REMEMBERED = 200  # increments that may be sent again
ANY_AMOUNTS = (1, 1, 2, 7, -1, -3, 1000, -999)


@dataclass(frozen=True)
class Counters:
    """Whom is counted at. `ones` takes single ones only, `sums` what is positive, in arrays too."""

    ones: str
    sums: str
    any: str

    def all(self) -> tuple[str, str, str]:
        return self.ones, self.sums, self.any


class Counting(Client):
    """Increments with keys; now and then one that was acknowledged long ago is sent again."""

    def __init__(self, counters: Counters, *args: Any) -> None:
        super().__init__(*args)
        self._counters = counters
        self._number = 0
        self._sent: list[tuple[str, dict[str, Any]]] = []

    def live(self) -> None:
        draw = self.rng.random()
        if draw < 0.1 and self._sent:
            counter, increment = self.rng.choice(self._sent)
            self._send(counter, increment)
        elif draw < 0.25:
            counter = self.rng.choice([self._counters.sums, self._counters.any])
            self._send_array(counter, [self._new(counter) for _ in range(self.rng.randint(2, 40))])
        else:
            counter = self.rng.choice(self._counters.all())
            self._send(counter, self._new(counter), wait=draw < 0.4)
        time.sleep(self.rng.uniform(0, 2 * PAUSE_SECONDS))

    def _new(self, counter: str) -> dict[str, Any]:
        self._number += 1
        if counter == self._counters.ones:
            amount = 1
        elif counter == self._counters.sums:
            amount = self.rng.randint(1, 9)
        else:
            amount = self.rng.choice(ANY_AMOUNTS)
        return {"key": f"{self.caller.name}-{self._number}", "amount": amount}

    def _send(self, counter: str, increment: dict[str, Any], *, wait: bool = False) -> None:
        headers = {"Prefer": "wait=3"} if wait else {}
        path = f"/api/counters/{counter}/increments/"
        self.caller.insist("increment", counter, "POST", path, increment, headers=headers)
        self._remember(counter, [increment])

    def _send_array(self, counter: str, increments: list[dict[str, Any]]) -> None:
        path = f"/api/counters/{counter}/increments/"
        self.caller.insist("increments", counter, "POST", path, increments)
        self._remember(counter, increments[:2])

    def _remember(self, counter: str, increments: Sequence[dict[str, Any]]) -> None:
        self._sent = [*self._sent, *((counter, each) for each in increments)][-REMEMBERED:]


class Reading(Client):
    """Reads what the counters stand at."""

    def __init__(self, counters: Counters, *args: Any) -> None:
        super().__init__(*args)
        self._counters = counters

    def live(self) -> None:
        counter = self.rng.choice(self._counters.all())
        self.caller.call("read counter", counter, "GET", f"/api/counters/{counter}/")
        time.sleep(self.rng.uniform(0, 2 * PAUSE_SECONDS))
