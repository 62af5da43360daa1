"""All clients of a round, from their start to the last answer."""

import random
import threading
from collections.abc import Sequence

from faults.clients.accounts import Living
from faults.clients.counting import Counters, Counting, Reading
from faults.clients.http import Caller, Client, create_counter, create_todo, settle
from faults.clients.pulse import CountingPulse, Pulse, RenamingPulse
from faults.clients.todos import Writing
from faults.control.clients import ControlCounting, ControlDeleting
from faults.history import History
from faults.plan import Plan

SHARED_TODOS = 5
PULSE_SECONDS = 3.0  # for one request of a pulse


class Load:
    """The clients of one round. `complaints` is what they have to say about it."""

    def __init__(self, plan: Plan, port: int, history: History, rng: random.Random) -> None:
        self._port = port
        self._history = history
        self._rng = rng
        self.over = threading.Event()
        self.complaints: list[str] = []
        everything = (self.over, self.complaints)
        main = self._caller("main")
        account = settle(main, "main")
        names = ("ones", "sums", "any")
        counters = Counters(*(create_counter(main, account, name) for name in names))
        created = [create_todo(main, account.id, f"shared-{n}") for n in range(SHARED_TODOS)]
        todos = [str(each.answer["id"]) for each in created]
        renamed = self._caller("pulse")
        renamed.request_seconds = PULSE_SECONDS
        pulsing = settle(renamed, "pulse")
        create_todo(renamed, pulsing.id, "a pulse")
        counted = create_counter(renamed, pulsing, "pulse")
        counting = self._caller("counting-pulse", pulsing.token)
        counting.request_seconds = PULSE_SECONDS
        self.pulses: Sequence[Pulse] = (
            CountingPulse(counted, counting, *everything),
            RenamingPulse(pulsing.id, renamed, *everything),
        )

        def several(name: str, number: int) -> list[Caller]:
            return [self._caller(f"{name}-{n}", account.token) for n in range(number)]

        self._clients: list[Client] = [
            *(Counting(counters, each, *everything) for each in several("c", plan.counting)),
            *(Reading(counters, each, *everything) for each in several("r", plan.reading)),
            *(Writing(account.id, todos, each, *everything) for each in several("w", plan.writing)),
            *(Living(plan.grace, each, *everything) for each in several("l", plan.living)),
            ControlCounting(self._caller("control-counting"), *everything),
            ControlDeleting(self._caller("control-deleting"), *everything),
            *self.pulses,
        ]

    def start(self) -> None:
        for client in self._clients:
            client.start()

    def end(self) -> None:
        """Nobody begins anything new."""
        self.over.set()

    @property
    def has_ended(self) -> bool:
        """Whether everybody has had their answer."""
        return not any(client.is_alive for client in self._clients)

    def recovered_at(self, moment: float) -> float | None:
        """When every pulse had been felt again that began at the moment or later."""
        felt = [pulse.first_since(moment) for pulse in self.pulses]
        return None if None in felt else max(each for each in felt if each is not None)

    def _caller(self, name: str, token: str = "") -> Caller:  # nosec B107
        rng = random.Random(self._rng.random())  # noqa: S311 - for load, not for secrets  # nosec B311
        return Caller(name, self._port, self._history, rng, token)
