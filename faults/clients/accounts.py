"""Those who come and go: accounts that fill up, are renamed, deleted, and some restored."""

import random
import threading
import time
from typing import Any

from faults.clients.http import Caller, Client, create_counter, create_todo, settle, sign_in

RACERS = 3  # at an account, who go on creating while it is deleted
KEPT, RESTORED = 0.15, 0.35  # the share of accounts that stay, and of deletions that are cancelled


class Living(Client):
    """One account after the other: registered, filled, renamed, deleted, perhaps restored."""

    def __init__(self, grace_seconds: float, *args: Any) -> None:
        super().__init__(*args)
        self._grace_seconds = grace_seconds
        self._number = 0

    def live(self) -> None:
        self._number += 1
        username = f"{self.caller.name}-{self._number}"
        self.caller.token = ""  # nosec B105
        account = settle(self.caller, username)
        counter = create_counter(self.caller, account, username)
        increments = [{"key": str(n), "amount": 1} for n in range(self.rng.choice([5, 50, 400]))]
        path = f"/api/counters/{counter}/increments/"
        self.caller.insist("increments", counter, "POST", path, increments)
        for number in range(self.rng.randint(1, 4)):
            create_todo(self.caller, account.id, f"{username} {number}")
        self._rename(account.id, f"{username}-renamed")
        if self.rng.random() < KEPT:
            return
        closed = threading.Event()
        racers = [self._racer(number, account.id, counter, closed) for number in range(RACERS)]
        for racer in racers:
            racer.start()
        try:
            time.sleep(self.rng.uniform(0.2, 1))
            deletion = self._delete(account.id)
            if deletion and self._grace_seconds and self.rng.random() < RESTORED:
                self._restore(account.id, deletion, username)
        finally:
            closed.set()
            for racer in racers:
                racer.join()

    def _rename(self, user_id: str, username: str) -> None:
        path = f"/api/users/{user_id}/"
        self.caller.insist("rename", user_id, "PATCH", path, {"username": username})

    def _delete(self, user_id: str) -> str | None:
        """The deletion's id; None if only an attempt that was not answered has closed it."""
        deleted = self.caller.insist("delete account", user_id, "DELETE", f"/api/users/{user_id}/")
        return str(deleted.answer["id"]) if deleted.succeeded else None

    def _restore(self, user_id: str, deletion: str, username: str) -> None:
        time.sleep(self.rng.uniform(0, self._grace_seconds))
        path = f"/api/deletions/{deletion}/cancel/"
        self.caller.token = ""  # nosec B105
        cancelled = self.caller.insist("cancel deletion", user_id, "POST", path, {})
        if cancelled.succeeded:
            self.caller.token = sign_in(self.caller, f"{username}-renamed")
            create_todo(self.caller, user_id, f"{username} is back")

    def _racer(self, number: int, user_id: str, counter: str, closed: threading.Event) -> "Racing":
        name = f"{self.caller.name}-{self._number}-racer-{number}"
        caller = Caller(
            name,
            self.caller.port,
            self.caller.history,
            random.Random(self.rng.random()),  # noqa: S311 - for load, not for secrets  # nosec B311
            self.caller.token,
        )
        return Racing(user_id, counter, caller, closed, self.complaints)


class Racing(Client):
    """Creates things in an account until it is closed, and a little longer."""

    def __init__(self, user_id: str, counter: str, *args: Any) -> None:
        super().__init__(*args)
        self._user_id = user_id
        self._counter = counter
        self._number = 0

    def live(self) -> None:
        self._number += 1
        title = f"{self.caller.name}-{self._number}"
        if self.rng.random() < 0.7:
            create_todo(self.caller, self._user_id, title)
        else:
            path = f"/api/counters/{self._counter}/increments/"
            increment = {"key": title, "amount": 1}
            self.caller.call("increment", self._counter, "POST", path, increment)
        time.sleep(self.rng.uniform(0, 0.05))
