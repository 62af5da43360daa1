"""Signing in: credentials, the number of tries, and bearer tokens.

Tries are counted in PostgreSQL: exact across processes, and there is no cache to be down. Where
the database is, nobody can sign in anyway.
"""

import hashlib
import math
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import connections
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils import timezone

from apps.users.errors import TooManyTokens, WrongCredentials
from apps.users.models import KnownAddress, Session, SignInTries, Token, User
from apps.users.queries import find_live_tokens, get_token
from kit.errors import TooManyTries
from kit.transactions import durable

ALIAS = "default"
PREFIX = "epis_"  # lets a scanner recognise a leaked one
WINDOW = timedelta(minutes=1)
RESETS_PER_HOUR = 3
ADDRESSES_ARE_KNOWN_FOR = timedelta(days=30)
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
    """Count a try from this address for this name. Raises TooManyTries for either.

    A stranger can use up what is allowed for a name, and go on to. So whoever signed in to the
    account from this address of late has an allowance that only tries from there use up.
    """
    count_try_from(address)
    most = settings.SIGN_IN_TRIES_PER_MINUTE
    if _is_known(username, address):
        count_try(f"known:{_digest(username.upper(), address)}", most=most)
    else:
        count_try(f"name:{_digest(username.upper())}", most=most)


def count_try_from(address: str) -> None:
    """Count a try of whatever secret from this address. Raises TooManyTries."""
    if address:
        count_try(f"address:{address}", most=settings.SIGN_IN_TRIES_PER_MINUTE)


def count_own_try(user_id: UUID) -> None:
    """Count a try of who is signed in, which no stranger can use up. Raises TooManyTries."""
    count_try(f"own:{user_id}", most=settings.SIGN_IN_TRIES_PER_MINUTE)


def count_reset_request(*, username: str, address: str) -> None:
    """Few for one name, for each is a mail to its owner. Raises TooManyTries."""
    count_try_from(address)
    name = _digest(username.upper())  # by which the database finds an account
    count_try(f"reset:{name}", most=RESETS_PER_HOUR, window=timedelta(hours=1))


def count_registration(address: str) -> None:
    """Raises TooManyTries where so many come from one address."""
    if address:
        count_try(f"registering:{address}", most=settings.REGISTRATIONS_PER_MINUTE)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _is_known(username: str, address: str) -> bool:
    known = KnownAddress.objects.filter(address=address, user__username__iexact=username)
    return known.exists()


def remember_address(*, user_id: UUID, address: str) -> None:
    """Note that the account was signed in to from there. Nothing to do if it is gone."""
    now = timezone.now()
    if not address:
        return
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO users_knownaddress (user_id, address, last_at)
            SELECT id, %s, %s FROM users_user WHERE id = %s FOR KEY SHARE
            ON CONFLICT (user_id, address) DO UPDATE SET last_at = excluded.last_at
            """,
            [address, now, user_id],
        )


def count_try(who: str, *, most: int, window: timedelta = WINDOW) -> None:
    """Count one more of what `who` names. Raises TooManyTries from the `most`th on in a window.

    What is refused does not make the window longer.
    """
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
            {"who": who, "now": now, "end": now + window},
        )
        tries, window_ends_at = cursor.fetchone()
    if tries > most:
        raise TooManyTries(retry_after=math.ceil((window_ends_at - now).total_seconds()))


def issue_token(
    *,
    user_id: UUID,
    name: str = "",
    lifetime: timedelta | None = None,
    password: str | None = None,
) -> tuple[Token, str]:
    """A new token and its secret, which cannot be read again. Without a lifetime it lasts.

    `password`: the hash of the one it is given for. Another that was set meanwhile ended the
    tokens there were, and would miss this one.

    The secret has 256 random bits, so a plain fast hash is enough to keep it by. The lock
    holds off the closing of the account, which revokes all its tokens, until this one is
    there to be revoked. Raises WrongCredentials if the account was closed meanwhile, or has
    another password, and TooManyTokens.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    now = timezone.now()
    expires_at = now + lifetime if lifetime else None
    with durable(ALIAS):
        open_accounts = User.objects.select_for_update().filter(is_active=True, closed_at=None)
        if password is not None:
            open_accounts = open_accounts.filter(password=password)
        user = open_accounts.filter(id=user_id).first()
        if user is None:
            raise WrongCredentials
        unexpired = Token.objects.filter(user=user).exclude(expires_at__lte=now)
        if unexpired.count() >= settings.TOKENS_PER_ACCOUNT:
            raise TooManyTokens
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
    """One that somebody else has in hand is passed over: no request waits for this.

    Nor is one noted again that somebody else has noted since it was looked up.
    """
    is_due = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USE_IS_KEPT_TO)
    tokens = Token.objects.filter(is_due, id__in=token_ids)
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


def end_session(*, kept_under: str) -> None:
    """Sign one browser out, whose session has this row. Nothing to do if it is already."""
    with durable(ALIAS):
        Session.objects.filter(session_key=kept_under).delete()


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
        KnownAddress.objects.filter(last_at__lte=now - ADDRESSES_ARE_KNOWN_FOR).delete()
