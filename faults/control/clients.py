"""The load of the control arms: increments and deletions, sent again until they are accepted."""

import time
from typing import Any

from faults.clients.http import Client

PAUSE_SECONDS = 0.04


class ControlCounting(Client):
    """One increment after the other."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._number = 0

    def live(self) -> None:
        self._number += 1
        number = {"number": str(self._number)}
        self.caller.insist("control increment", "", "POST", "/control/increments/", number)
        time.sleep(self.rng.uniform(0, 2 * PAUSE_SECONDS))


class ControlDeleting(Client):
    """One account after the other is created and deleted."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._number = 0

    def live(self) -> None:
        self._number += 1
        account = {"name": str(self._number)}
        created = self.caller.call("control account", "", "POST", "/control/accounts/", account)
        if created.succeeded:
            self.caller.insist("control deletion", "", "DELETE", "/control/accounts/", account)
        time.sleep(self.rng.uniform(0, 10 * PAUSE_SECONDS))
