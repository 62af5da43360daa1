"""Those who write todos: several change the same ones, each only what they have read."""

import time
from collections.abc import Sequence
from typing import Any

from faults.clients.http import Client, create_todo

PAUSE_SECONDS = 0.08


class Writing(Client):
    """Creates todos now and then, and mostly changes the shared ones, with If-Match."""

    def __init__(self, user_id: str, shared: Sequence[str], *args: Any) -> None:
        super().__init__(*args)
        self._user_id = user_id
        self._shared = shared
        self._number = 0

    def live(self) -> None:
        self._number += 1
        title = f"{self.caller.name}-{self._number}"
        if self.rng.random() < 0.2:
            create_todo(self.caller, self._user_id, title)
        else:
            self._change(self.rng.choice(self._shared), title)
        time.sleep(self.rng.uniform(0, 2 * PAUSE_SECONDS))

    def _change(self, todo: str, title: str) -> None:
        """Until it is written, or somebody else was faster."""
        path = f"/api/todos/{todo}/"
        read = self.caller.insist("read todo", todo, "GET", path)
        if not read.succeeded:
            return
        self.caller.insist(
            *("change todo", todo, "PATCH", path, {"title": title}),
            headers={"If-Match": read.answer["etag"]},
            sent={"title": title, "version": read.answer["version"]},
        )
