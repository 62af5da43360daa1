"""What the todos app can refuse."""

from kit.errors import Conflict, Forbidden, Gone, Invalid, NotFound, Stale


class TodoNotFound(NotFound):
    """There is no such todo."""


class TodoNotYours(Forbidden):
    """Only its owner may change this todo."""


class HistoryNotYours(Forbidden):
    """Only its owner may see what this todo has been."""


class TodoChanged(Stale):
    """The todo was changed since you read it."""


class TodoNotDeleted(Conflict):
    """The todo is not in the trash."""

    code = "not_deleted"


class VersionNotFound(NotFound):
    """The todo never had this version, or it is not known what it was."""


class KeyInFlight(Conflict):
    """A request with this idempotency key is just being worked on; try again."""

    code = "key_in_flight"


class BadItem(Invalid):
    """One of many that cannot be taken; `field` says which."""


class ItemNotFound(BadItem):
    """There is no such todo."""

    code = "not_found"


class ItemNotYours(BadItem):
    """Only its owner may change this todo."""

    code = "permission_denied"


class ItemRepeated(BadItem):
    """This todo was named before."""

    code = "repeated"


class CursorTooOld(Gone):
    """Changes behind this cursor are no longer known: begin anew, without one."""

    code = "cursor_too_old"
