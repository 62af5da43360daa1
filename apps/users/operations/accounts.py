"""Accounts: register and change."""

from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from apps.users.errors import UsernameTaken
from apps.users.events import user_changed
from apps.users.models import User
from apps.users.queries import get_user
from kit.directory import Viewer
from kit.errors import Invalid
from kit.transactions import after_commit, durable

ALIAS = "default"


def register_user(*, username: str, password: str, email: str = "") -> User:
    """Open an account.

    Raises UsernameTaken (ignoring case, also when two arrive at once), and Invalid for
    a password that the validators refuse. The password is hashed before the
    transaction: Argon2 takes longer than a lock should be held.
    """
    user = User(
        username=User.normalize_username(username),
        email=User.objects.normalize_email(email),
    )
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from None
    user.password = make_password(password)
    _save(user, force_insert=True)
    return user


def change_user(*, user_id: UUID, viewer: Viewer, **changes: Any) -> User:
    """Change username or email. Raises UserNotFound and UsernameTaken."""
    user = get_user(user_id, viewer)
    for field in ("username", "email"):
        if field in changes:
            setattr(user, field, changes[field])
    user.username = User.normalize_username(user.username)
    _save(user, update_fields=[*changes, "updated_at"])
    return user


def _save(user: User, **how: Any) -> None:
    try:
        with durable(ALIAS):
            user.save(using=ALIAS, **how)
            after_commit(ALIAS, lambda: user_changed.send(User))
    except IntegrityError as error:
        if "users_username_taken" in str(error) or "username" in str(error):
            raise UsernameTaken from None
        raise
