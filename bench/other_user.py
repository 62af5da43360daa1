"""Somebody else, who lists todos and creates them while an account is deleted."""

import threading
import time
from collections.abc import Callable

from bench.instance import Instance

PATH = "/api/todos/"


class OtherUser:
    """Use as a context: the instance's account does both, over and over, each in a thread."""

    def __init__(self, epis: Instance, answers_ms: dict[str, list[float]]) -> None:
        self._epis = epis
        self._over = threading.Event()
        self._answers_ms = answers_ms  # is added to
        self._threads = [
            threading.Thread(target=self._repeat, args=("list", self._list)),
            threading.Thread(target=self._repeat, args=("create", self._create)),
        ]

    @staticmethod
    def answers() -> dict[str, list[float]]:
        return {"list": [], "create": []}

    def __enter__(self) -> "OtherUser":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _list(self) -> None:
        self._epis.call("GET", PATH)

    def _create(self) -> None:
        self._epis.call("POST", PATH, {"title": "of somebody else"})

    def _repeat(self, what: str, ask: Callable[[], None]) -> None:
        while not self._over.is_set():
            sent = time.monotonic()
            ask()
            self._answers_ms[what].append((time.monotonic() - sent) * 1000)
