"""The pulse: small stories told again and again, by which it is seen from outside what works."""

import time
from bisect import bisect_left
from typing import Any

from faults.clients.http import Client

PAUSE_SECONDS = 0.04
Cycle = tuple[float, float]  # when it was begun, and when what was asked for was seen done


class Pulse(Client):
    """Cycles of one story."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.cycles: list[Cycle] = []

    def live(self) -> None:
        began = self.caller.history.now()
        while not self.over.is_set():
            if self.is_done(len(self.cycles)):
                self.cycles.append((began, self.caller.history.now()))
                break
            time.sleep(PAUSE_SECONDS)
        time.sleep(PAUSE_SECONDS)

    def is_done(self, number: int) -> bool:
        """Ask for what this cycle is about, or look again; whether it is seen done."""
        raise NotImplementedError

    def first_since(self, moment: float) -> float | None:
        """When the first cycle was done that was begun at the moment or later."""
        cycles = list(self.cycles)
        index = bisect_left(cycles, moment, key=lambda cycle: cycle[0])
        return cycles[index][1] if index < len(cycles) else None


class CountingPulse(Pulse):
    """An increment is accepted and applied."""

    def __init__(self, counter: str, *args: Any) -> None:
        super().__init__(*args)
        self._counter = counter

    def is_done(self, number: int) -> bool:
        sent = self.caller.call(
            *("increment", self._counter, "POST", f"/api/counters/{self._counter}/increments/"),
            {"key": f"{self.caller.name}-{number}", "amount": 1},
            headers={"Prefer": "wait=1"},
        )
        return sent.succeeded and bool(sent.answer["state"] == "applied")


class RenamingPulse(Pulse):
    """A new name arrives in the other database."""

    def __init__(self, user_id: str, *args: Any) -> None:
        super().__init__(*args)
        self._user_id = user_id
        self._asked_for = ""

    def is_done(self, number: int) -> bool:
        name = f"{self.caller.name}-{number}"
        if self._asked_for != name:
            path = f"/api/users/{self._user_id}/"
            renamed = self.caller.call("rename", self._user_id, "PATCH", path, {"username": name})
            if not renamed.succeeded:
                return False
            self._asked_for = name
        seen = self.caller.call("look for", name, "GET", f"/api/todos/?username={name}")
        if seen.succeeded and seen.answer["results"]:
            return True
        if self._was_overtaken(name):
            self._asked_for = ""
        return False

    def _was_overtaken(self, name: str) -> bool:
        """Whether an attempt of earlier, which was not answered, came late and took the name away.

        Then it has to be asked for once more. Not in any case: that would ring the bell anew.
        """
        me = self.caller.call("who am I", self._user_id, "GET", "/api/users/me/")
        return me.succeeded and me.answer["username"] != name
