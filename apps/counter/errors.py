"""What the counter app can refuse."""

from kit.errors import Forbidden, Invalid, KeyReused, NotFound, Unauthenticated


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


class AmountOutOfRange(Invalid):
    """An amount is a whole number from -1,000,000,000 to 1,000,000,000, but not 0."""

    def __init__(self) -> None:
        super().__init__(field="amount")


class TokenUnknown(Unauthenticated):
    """The token is unknown, expired or revoked."""


class KeyMalformed(Invalid):
    """A key is 1 to 255 visible ASCII characters."""

    def __init__(self) -> None:
        super().__init__(field="key")


class NotYet(Invalid):
    """This moment has not come yet."""

    code = "not_yet"

    def __init__(self) -> None:
        super().__init__(field="at")


class KeyUsedForAnotherAmount(KeyReused):
    """This key was already used on this counter with another amount."""
