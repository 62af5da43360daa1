"""What the counter app can refuse."""

from kit.errors import Forbidden, Invalid, KeyReused, NotFound


class CounterNotFound(NotFound):
    """There is no such counter."""


class CounterNotYours(Forbidden):
    """Only its owner may change or increment this counter."""


class IncrementNotFound(NotFound):
    """There is no such increment."""


class NameTaken(Invalid):
    """You already have a counter with that name."""

    code = "unique"

    def __init__(self) -> None:
        super().__init__(field="name")


class KeyUsedForAnotherAmount(KeyReused):
    """This key was already used on this counter with another amount."""
