"""A client that wants each increment's result before it sends the next one."""

import threading
import time

from bench.instance import Instance


class WaitingClient:
    """Use as a context: it sends in a thread of its own until the context is left."""

    def __init__(self, epis: Instance, wait_seconds: int) -> None:
        self._epis = epis
        self._headers = {"Prefer": f"wait={wait_seconds}"}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.answers_ms: list[float] = []
        self.applied = 0

    def __enter__(self) -> "WaitingClient":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def share_applied(self) -> float:
        """How many of the answers were receipts with a result."""
        return self.applied / len(self.answers_ms)

    def _send(self) -> None:
        path = f"{self._epis.counter_path}increments/"
        while not self._over.is_set():
            sent = time.monotonic()
            receipt = self._epis.call("POST", path, {}, self._headers)
            self.answers_ms.append((time.monotonic() - sent) * 1000)
            self.applied += receipt["state"] == "applied"
