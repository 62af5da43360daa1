"""The kinds of refusal that an app can answer with.

An app names its own refusals in its `errors.py` as subclasses of these. The kind
says how the shell answers over HTTP (`epis.api.problems` holds that table), so no
app below `api/` has to know a status code.

A subclass's docstring is its message.
"""

from typing import Any


class Refusal(Exception):
    """The request was understood and is refused."""

    code = "refused"

    def __init__(self, message: str = "", **context: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.message)


class NotFound(Refusal):
    """There is no such thing, or it is not yours to see."""

    code = "not_found"


class Invalid(Refusal):
    """A field has a value that cannot be taken; `field` names it."""

    code = "invalid"

    def __init__(self, message: str = "", *, field: str, **context: Any) -> None:
        super().__init__(message, **context)
        self.field = field


class Unauthenticated(Refusal):
    """Who you are could not be established."""

    code = "authentication_failed"


class Forbidden(Refusal):
    """You may see this, and may not change it."""

    code = "permission_denied"


class Conflict(Refusal):
    """The thing is not in a state that allows this."""

    code = "conflict"


class TooMany(Conflict):
    """This account has as many of these as it may. Delete some first."""

    code = "too_many"


class Stale(Refusal):
    """The thing was changed since you read it."""

    code = "stale"


class Gone(Refusal):
    """This was here once, and is not kept any longer."""

    code = "gone"


class PreconditionRequired(Refusal):
    """Say which version you mean to replace: send its ETag as If-Match."""

    code = "precondition_required"


class KeyReused(Refusal):
    """This idempotency key was already used for a different request."""

    code = "key_reused"


class TooManyTries(Refusal):
    """Too many tries; wait before the next.

    `retry_after`: in how many seconds that is taken.
    """

    code = "throttled"

    def __init__(self, message: str = "", *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
