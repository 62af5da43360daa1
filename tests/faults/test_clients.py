"""The clients are sensible: they ask again where that is called for, and only there."""

import random
import threading
from collections.abc import Mapping
from typing import Any

from faults.clients.http import Caller, create_todo
from faults.clients.pulse import RenamingPulse
from faults.history import History

Answer = tuple[int, Any]


class Scripted(Caller):
    """Is answered as the script says; None is no answer. `sent` is what was asked, with its key."""

    def __init__(self, *script: Answer | None) -> None:
        super().__init__("client", 0, History(), random.Random(1))  # noqa: S311
        self._script = list(script)
        self.sent: list[tuple[str, str | None]] = []

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        self.sent.append((f"{method} {path}", headers.get("Idempotency-Key")))
        answer = self._script.pop(0)
        if answer is None:
            raise TimeoutError
        return answer


class TestCreatingATodo:
    def test_is_sent_with_one_key_until_it_is_answered(self) -> None:
        in_flight = 409, {"code": "key_in_flight"}
        caller = Scripted(None, (503, None), (429, {}), in_flight, (201, {"id": "x"}))

        created = create_todo(caller, "ada", "buy milk")

        assert created.status == 201
        assert caller.sent == [("POST /api/todos/", "buy-milk")] * 5

    def test_is_not_sent_again_where_it_is_refused(self) -> None:
        caller = Scripted((409, {"code": "too_many"}))

        assert create_todo(caller, "ada", "buy milk").status == 409


class TestRenamingPulse:
    def test_asks_again_only_where_an_earlier_attempt_took_the_name_away(self) -> None:
        renamed: Answer = 200, {}
        nothing: Answer = 200, {"results": []}
        still: Answer = 200, {"username": "client-1"}
        overtaken: Answer = 200, {"username": "client-0"}
        caller = Scripted(
            *(renamed, nothing, still),
            *(nothing, overtaken),
            *(renamed, (200, {"results": [1]})),
        )
        pulse = RenamingPulse("ada", caller, threading.Event(), [])

        assert [pulse.is_done(1) for _ in range(3)] == [False, False, True]
        assert sum("PATCH" in what for what, _ in caller.sent) == 2
