"""Passwords: changed by who knows the present one, by an operator, or by who gets our mail.

A new password ends every session and, unless its owner wants them kept, every token. A mail is
sent by a task, so that an unknown name is answered like a known one, and as soon.
"""

import logging
from datetime import timedelta
from smtplib import SMTPException
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.utils import timezone

from apps.users.errors import NoMail, UserNotFound, WrongCode, WrongPassword
from apps.users.events import password_reset_requested
from apps.users.models import ResetRequest, Session, Token, User
from apps.users.operations.signing_in import (
    count_own_try,
    count_reset_request,
    count_try_from,
    remember_address,
)
from apps.users.queries import find_resettable_user, find_user_with_code
from kit.errors import Invalid
from kit.transactions import after_commit, durable

logger = logging.getLogger(__name__)

ALIAS = "default"
# A mail that cannot be sent is tried again after a while, and given up when its code would have
# expired had it been sent at once.
PAUSE = timedelta(minutes=1)
SUBJECT = "A new password for epis"
TEXT = """\
Somebody, you perhaps, asked for a new password for {username}. This page takes it, once and
within the next hour:

{address}

If it was not you, nothing has changed, and there is nothing to do.
"""


def checked(password: str, user: User) -> str:
    """The hash of a new password. Raises Invalid for one that the validators refuse."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="new_password") from None
    return make_password(password)


def change_password(
    *,
    user: User,
    password: str,
    new_password: str,
    keep_tokens: bool = False,
    token_id: UUID | None = None,
) -> User:
    """For who knows the present password, which is counted as an own try; gives the account.

    Ends all sessions, and all tokens but the one that this was asked with, or none.
    Raises WrongPassword, TooManyTries, and Invalid for a new one that the validators refuse.
    """
    count_own_try(user.id)
    if not user.check_password(password):
        raise WrongPassword
    hashed = checked(new_password, user)
    try:
        set_password(
            user_id=user.id,
            hashed=hashed,
            instead_of=user.password,
            keep_tokens=keep_tokens,
            token_id=token_id,
        )
    except UserNotFound:  # it was changed meanwhile
        raise WrongPassword from None
    user.password = hashed
    return user


def set_password(
    *,
    user_id: UUID,
    hashed: str,
    instead_of: str | None = None,
    keep_tokens: bool = False,
    token_id: UUID | None = None,
) -> None:
    """Put this hash in the place of the present one, or of this very one only.

    Of two who know one password, or have one code, one sets the next. Raises UserNotFound.
    """
    users = User.objects.filter(id=user_id)
    if instead_of is not None:
        users = users.filter(password=instead_of)
    with durable(ALIAS):
        if not users.update(password=hashed, updated_at=timezone.now()):
            raise UserNotFound
        Session.objects.filter(user_id=user_id).delete()
        if not keep_tokens:
            kept = [token_id] if token_id else []
            Token.objects.filter(user_id=user_id).exclude(id__in=kept).delete()


# --- a password that was forgotten --------------------------------------------------------


def request_password_reset(*, username: str, address: str) -> None:
    """Note that the owner of this account, if there is one, should get a mail with a code.

    Raises NoMail, and TooManyTries for an address or a name that this was asked for too often.
    """
    if not settings.MAIL_IS_SENT:
        raise NoMail
    username = User.normalize_username(username)
    count_reset_request(username=username, address=address)
    with durable(ALIAS):
        ResetRequest.objects.create(username=username)
        after_commit(ALIAS, lambda: password_reset_requested.send(ResetRequest))


def send_reset_codes() -> bool:
    """Send one of the mails that are due. True if there was one.

    It is put off first, then sent, then forgotten: whoever dies in between, it is sent again,
    with another code that is as good.
    """
    request = _put_off()
    if request is None:
        return False
    user = find_resettable_user(request.username)
    if user is not None and not _send(user):
        return True
    with durable(ALIAS):
        ResetRequest.objects.filter(id=request.id).delete()
    return True


def _put_off() -> ResetRequest | None:
    now = timezone.now()
    with durable(ALIAS):
        too_old = now - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
        ResetRequest.objects.filter(requested_at__lt=too_old).delete()
        due = ResetRequest.objects.filter(next_at__lte=now).order_by("next_at")
        request = due.select_for_update(skip_locked=True).first()
        if request is not None:
            ResetRequest.objects.filter(id=request.id).update(next_at=now + PAUSE)
    return request


def _send(user: User) -> bool:
    code = default_token_generator.make_token(user)
    address = f"{settings.PUBLIC_URL}/api/auth/password-reset/{user.id}/{code}/"
    text = TEXT.format(username=user.username, address=address)
    try:
        send_mail(SUBJECT, text, None, [user.email])
    except (OSError, SMTPException, ValueError) as error:  # or no mail can be addressed so
        # Not what it says: that may be whom the mail was for.
        logger.error("A mail cannot be sent, and is tried again: %s", type(error).__name__)
        return False
    return True


def reset_password(*, user_id: UUID, code: str, new_password: str, address: str) -> None:
    """For who has the code that was mailed. Ends all sessions and tokens.

    Whoever has it may sign in from there, whatever strangers try meanwhile. Raises WrongCode,
    TooManyTries, and Invalid for a new one that the validators refuse.
    """
    count_try_from(address)
    user = find_user_with_code(user_id, code)
    if user is None:
        raise WrongCode
    hashed = checked(new_password, user)
    try:
        set_password(user_id=user.id, hashed=hashed, instead_of=user.password)
    except UserNotFound:  # the code was used meanwhile
        raise WrongCode from None
    remember_address(user_id=user.id, address=address)
