"""Accounts: register and change."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from apps.users.errors import UsernameTaken
from apps.users.events import user_changed
from apps.users.models import User
from apps.users.queries import get_user, get_user_to_change
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
    with _one_of_each_name(), durable(ALIAS):
        user.save(force_insert=True)
        after_commit(ALIAS, lambda: user_changed.send(User))
    return user


def change_user(
    *, user_id: UUID, viewer: Viewer, username: str | None = None, email: str | None = None
) -> User:
    """Change what is given. Raises UserNotFound, StaffAccount and UsernameTaken."""
    changes = {}
    if username is not None:
        changes["username"] = User.normalize_username(username)
    if email is not None:
        changes["email"] = User.objects.normalize_email(email)
    with _one_of_each_name(), durable(ALIAS):
        user = get_user_to_change(user_id, viewer)
        User.objects.filter(id=user.id).update(**changes, updated_at=timezone.now())
        after_commit(ALIAS, lambda: user_changed.send(User))
    return get_user(user_id, viewer)


@contextmanager
def _one_of_each_name() -> Iterator[None]:
    """Says UsernameTaken where the database refuses a second account of one name."""
    try:
        yield
    except IntegrityError as error:
        if "username" in str(error):
            raise UsernameTaken from None
        raise
