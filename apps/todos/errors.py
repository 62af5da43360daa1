"""What the todos app can refuse."""

from kit.errors import Forbidden, NotFound, Stale


class TodoNotFound(NotFound):
    """There is no such todo."""


class TodoNotYours(Forbidden):
    """Only its owner may change this todo."""


class TodoChanged(Stale):
    """The todo was changed since you read it."""
