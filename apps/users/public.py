"""The door of the users app: the only module that other apps and `tasks` may import.

Ids and frozen dataclasses go out, never a model or a queryset. It is also the
`kit.directory.Directory` that the other apps ask about their owners.
"""

from uuid import UUID

from apps.users.operations.accounts import register_user
from apps.users.operations.deletions import (
    begin_deletion,
    finish_deletion,
    is_running,
    record_step,
    reopen_deletion,
)
from apps.users.operations.signing_in import clear_expired_sign_ins
from apps.users.queries import (
    changes_after,
    feed_head,
    find_people,
    find_user_id,
    list_deleted,
    list_due_deletions,
    subject_of,
)

__all__ = [
    "begin_deletion",
    "changes_after",
    "clear_expired_sign_ins",
    "feed_head",
    "find_people",
    "find_user_id",
    "finish_deletion",
    "is_running",
    "list_deleted",
    "list_due_deletions",
    "open_account",
    "record_step",
    "reopen_deletion",
    "subject_of",
]


def open_account(*, username: str, password: str, email: str = "") -> UUID:
    """Register a user; returns the id. Raises what `register_user` raises."""
    return register_user(username=username, password=password, email=email).id
