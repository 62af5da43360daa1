"""The door of the users app: the only module that other apps and `tasks` may import.

Ids and frozen dataclasses go out, never a model or a queryset. It is also the
`kit.directory.Directory` that the other apps ask about their owners.
"""

from collections.abc import Collection
from uuid import UUID

from apps.users.operations.accounts import register_user
from apps.users.operations.cascading import (
    StepReport,
    begin_due_deletions,
    fail_steps,
    finish_deletions,
    record_steps,
    reopen_steps,
    wake,
    working_alone,
)
from apps.users.operations.deletions import (
    postpone_deletions,
    reopen_deletion,
    resume_deletion_of,
)
from apps.users.operations.passwords import send_reset_codes
from apps.users.operations.signing_in import clear_expired_sign_ins, use_tokens
from apps.users.queries import (
    DueStep,
    changes_after,
    count_open_deletions,
    feed_head,
    find_people,
    find_user_id,
    is_anything_due,
    list_certified,
    list_deleted,
    list_due_steps,
    list_paused_steps,
    list_scheduled,
    list_under_way,
    list_worked_off,
)
from kit.directory import Bearer, Viewer

__all__ = [
    "DueStep",
    "StepReport",
    "begin_due_deletions",
    "changes_after",
    "clear_expired_sign_ins",
    "count_open_deletions",
    "fail_steps",
    "feed_head",
    "find_people",
    "find_user_id",
    "finish_deletions",
    "is_anything_due",
    "list_certified",
    "list_deleted",
    "list_due_steps",
    "list_paused_steps",
    "list_scheduled",
    "list_under_way",
    "list_worked_off",
    "open_account",
    "postpone_deletions",
    "record_steps",
    "reopen_deletion",
    "reopen_steps",
    "resume_deletion_of",
    "send_reset_codes",
    "viewers_of",
    "wake",
    "working_alone",
]


def viewers_of(bearers: Collection[Bearer]) -> dict[Bearer, Viewer]:
    """Who bears these tokens. Without those of nobody: unknown, expired or revoked."""
    tokens = use_tokens([bearer.token for bearer in bearers])
    return {
        bearer: Viewer(tokens[bearer.token].user_id, tokens[bearer.token].user.is_staff)
        for bearer in bearers
        if bearer.token in tokens
    }


def open_account(*, username: str, password: str, email: str = "") -> UUID:
    """Register a user; returns the id. Raises what `register_user` raises."""
    return register_user(username=username, password=password, email=email).id
