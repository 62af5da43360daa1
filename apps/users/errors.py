"""What the users app can refuse."""

from kit.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated


class UsernameTaken(Invalid):
    """A user with that username already exists."""

    code = "unique"

    def __init__(self) -> None:
        super().__init__(field="username")


class UserNotFound(NotFound):
    """There is no such user."""


class StaffAccount(Forbidden):
    """An account of staff is changed by itself, or by a superuser."""


class TokenNotFound(NotFound):
    """There is no such token."""


class DeletionNotFound(NotFound):
    """There is no such deletion."""


class WrongCredentials(Unauthenticated):
    """The username or the password is wrong."""


class WrongPassword(Invalid):
    """This is not the password of the account."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__(field="password")


class WrongCode(Invalid):
    """This code is wrong, was used already, or has expired."""

    code = "wrong_code"

    def __init__(self) -> None:
        super().__init__(field="code")


class NoMail(NotFound):
    """This service sends no mail. Ask whoever runs it for a new password."""

    code = "no_mail"


class TooManyTokens(TooMany):
    """This account has as many tokens as it may. Revoke one first."""


class WrongDeletionState(Conflict):
    """The deletion is not in a state that allows this."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The deletion is {state}; that does not allow this.", state=state)
