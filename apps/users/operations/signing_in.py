"""Signing in: credentials, the number of tries, and bearer tokens."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import connections
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from apps.users.errors import WrongCredentials
from apps.users.models import Session, SignInTries, Token, User
from apps.users.queries import find_live_tokens, get_token
from kit.errors import TooManyTries
from kit.transactions import durable

ALIAS = "default"
PREFIX = "epis_"  # lets a scanner recognise a leaked one
WINDOW = timedelta(minutes=1)
LAST_USE_IS_KEPT_TO = timedelta(minutes=1)


def check_credentials(*, request: HttpRequest, username: str, password: str) -> User:
    """The account with this name and password.

    Raises WrongCredentials, after about the same time whether or not the name exists,
    and TooManyTries for an address or a name that was tried too often.
    """
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise WrongCredentials
    return user


def count_sign_in_try(*, username: str, address: str) -> None:
    """Count a try from this address for this name. Raises TooManyTries for either."""
    if address:
        _count_try(f"address:{address}")
    _count_try(f"name:{hashlib.sha256(username.casefold().encode()).hexdigest()}")


def _count_try(who: str) -> None:
    """Counted in PostgreSQL: exact across processes, and there is no cache to be down."""
    now = timezone.now()
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO users_signintries AS known (who, window_ends_at, tries)
            VALUES (%(who)s, %(end)s, 1)
            ON CONFLICT (who) DO UPDATE SET
                tries = CASE WHEN known.window_ends_at > %(now)s THEN known.tries + 1 ELSE 1 END,
                window_ends_at = CASE WHEN known.window_ends_at > %(now)s
                                      THEN known.window_ends_at ELSE %(end)s END
            RETURNING tries, window_ends_at
            """,
            {"who": who, "now": now, "end": now + WINDOW},
        )
        tries, window_ends_at = cursor.fetchone()
    if tries > settings.SIGN_IN_TRIES_PER_MINUTE:
        raise TooManyTries(retry_after=max(1, round((window_ends_at - now).total_seconds())))


def issue_token(
    *, user_id: UUID, name: str = "", lifetime: timedelta | None = None
) -> tuple[Token, str]:
    """A new token and its secret, which cannot be read again. Without a lifetime it lasts.

    The secret has 256 random bits, so a plain fast hash is enough to keep it by. The lock
    holds off the closing of the account, which revokes all its tokens, until this one is
    there to be revoked. Raises WrongCredentials if the account was closed meanwhile.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    expires_at = timezone.now() + lifetime if lifetime else None
    with durable(ALIAS):
        open_accounts = User.objects.select_for_update().filter(is_active=True, closed_at=None)
        user = open_accounts.filter(id=user_id).first()
        if user is None:
            raise WrongCredentials
        token = Token.objects.create(
            user=user, name=name, digest=digest_of(secret), expires_at=expires_at
        )
    return token, secret


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def use_token(secret: str) -> Token | None:
    """The live token with this secret, its last use noted at most once a minute.

    None for one that is unknown, revoked or expired, or whose account may not sign in.
    """
    return use_tokens([secret]).get(secret)


def use_tokens(secrets: Collection[str]) -> dict[str, Token]:
    """The same for several at once: those that are live, by their secrets."""
    now = timezone.now()
    digests = {secret: digest_of(secret) for secret in secrets}
    live = find_live_tokens(digests.values(), now)
    unnoted = [
        token.id
        for token in live.values()
        if token.last_used_at is None or token.last_used_at < now - LAST_USE_IS_KEPT_TO
    ]
    if unnoted:
        _note_use(unnoted, now)
    return {secret: live[digest] for secret, digest in digests.items() if digest in live}


def _note_use(token_ids: Collection[UUID], now: datetime) -> None:
    """One that somebody else has in hand is passed over: no request waits for this."""
    tokens = Token.objects.filter(id__in=token_ids)
    with durable(ALIAS):
        free = tokens.select_for_update(skip_locked=True, no_key=True).values_list("id", flat=True)
        Token.objects.filter(id__in=list(free)).update(last_used_at=now)


def revoke_token(*, token_id: UUID, user_id: UUID) -> None:
    """Raises TokenNotFound, also for someone else's."""
    with durable(ALIAS):
        get_token(token_id, user_id).delete()


def note_sign_in(*, user_id: UUID) -> None:
    """Note when the account was last signed in to, if it is still there."""
    with durable(ALIAS):
        User.objects.filter(id=user_id).update(last_login=timezone.now())


def end_session(*, session_key: str) -> None:
    """Sign one browser out. Nothing to do if it is already."""
    with durable(ALIAS):
        Session.objects.filter(session_key=session_key).delete()


def clear_expired_sign_ins() -> None:
    """Remove what no longer lets anyone in: old tokens, sessions and counts of tries."""
    now = timezone.now()
    with durable(ALIAS):
        Token.objects.filter(expires_at__lte=now).delete()
        Session.objects.filter(expire_date__lte=now).delete()
        # Begun while the account was going: its row was gone before this one came.
        somebodys = Session.objects.filter(user_id__isnull=False)
        somebodys.exclude(Exists(User.objects.filter(id=OuterRef("user_id")))).delete()
        SignInTries.objects.filter(window_ends_at__lte=now).delete()
