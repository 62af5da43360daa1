"""Reads of the users database. Nothing here writes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.tokens import default_token_generator
from django.db import connections
from django.db.models import Count, Exists, F, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.users.errors import DeletionNotFound, StaffAccount, TokenNotFound, UserNotFound
from apps.users.models import Deletion, DeletionStep, FeedHead, Token, User, UserChange
from kit.directory import Change, Person, Viewer

ALIAS = "default"
BEGUN = (Deletion.State.RUNNING, Deletion.State.PAUSED)


def list_users(viewer: Viewer) -> QuerySet[User]:
    """Staff see every account, others their own."""
    users = User.objects.order_by("-id")
    return users if viewer.is_staff else users.filter(id=viewer.user_id)


def get_user(user_id: UUID, viewer: Viewer) -> User:
    """Raises UserNotFound, also for an account that is not the viewer's to see."""
    try:
        return list_users(viewer).get(id=user_id)
    except User.DoesNotExist:
        raise UserNotFound from None


def get_user_to_change(user_id: UUID, viewer: Viewer) -> User:
    """The same, where the viewer may change or delete the account.

    Whoever has the address of mail has the account. So those of staff are left to themselves and
    to superusers: others would get what they may. Raises UserNotFound and StaffAccount.
    """
    user = get_user(user_id, viewer)
    if user.has_powers and user.id != viewer.user_id and not is_superuser(viewer.user_id):
        raise StaffAccount
    return user


def is_superuser(user_id: UUID) -> bool:
    return User.objects.filter(id=user_id, is_superuser=True).exists()


def find_user_id(username: str) -> UUID | None:
    """The id of the account with this name, ignoring case."""
    return User.objects.filter(username__iexact=username).values_list("id", flat=True).first()


def find_resettable_user(username: str) -> User | None:
    """The open account with this name, if it has a password and an address to send mail to."""
    users = User.objects.filter(username__iexact=username, is_active=True, closed_at=None)
    user = users.exclude(email="").first()
    return user if user is not None and user.has_usable_password() else None


def find_user_with_code(user_id: UUID, code: str) -> User | None:
    """The open account for which this code was mailed, if it is still good."""
    user = User.objects.filter(id=user_id, is_active=True, closed_at=None).first()
    return user if default_token_generator.check_token(user, code) else None


def list_tokens(user_id: UUID) -> QuerySet[Token]:
    return Token.objects.filter(user_id=user_id).order_by("-id")


def get_token(token_id: UUID, user_id: UUID) -> Token:
    """Raises TokenNotFound, also for someone else's."""
    try:
        return list_tokens(user_id).get(id=token_id)
    except Token.DoesNotExist:
        raise TokenNotFound from None


# What a request has to know of who sends it. What else there is of an account is read when it is
# asked for. In the order of the models' fields, by which Django pairs values with them.
OF_TOKEN = ("id", "user_id", "digest", "last_used_at")
OF_ACCOUNT = ("is_superuser", "username", "is_staff", "is_active", "id", "closed_at")
FIND_SIGN_IN = """
SELECT token.id, token.user_id, token.digest, token.last_used_at,
       account.is_superuser, account.username, account.is_staff, account.is_active, account.id,
       account.closed_at
FROM users_token AS token JOIN users_user AS account ON account.id = token.user_id
WHERE token.digest = ANY (%s) AND (token.expires_at IS NULL OR token.expires_at > %s)
  AND account.is_active AND account.closed_at IS NULL
"""


def find_live_tokens(digests: Collection[bytes], now: datetime) -> dict[bytes, Token]:
    """The tokens with these digests, and their users, by digest.

    Those that have not expired, and whose account may sign in. Each request asks for its own. A
    queryset would take several times as long to put the statement together as the server takes
    to answer it.
    """
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(FIND_SIGN_IN, [list(digests), now])
        rows = cursor.fetchall()
    tokens = {}
    for row in rows:
        token = Token.from_db(ALIAS, OF_TOKEN, row[: len(OF_TOKEN)])
        token.user = User.from_db(ALIAS, OF_ACCOUNT, row[len(OF_TOKEN) :])
        tokens[bytes(token.digest)] = token
    return tokens


# --- the feed and the directory -----------------------------------------------------------


def changes_after(position: int, *, limit: int) -> Sequence[Change]:
    """The first `limit` changes after `position`, in order of commit."""
    rows = UserChange.objects.filter(position__gt=position).order_by("position")[:limit]
    return [Change(position=row.position, user_id=row.user_id) for row in rows]


def feed_head() -> int:
    """The position of the latest change; 0 when there is none."""
    head = FeedHead.objects.filter(id=1).first()
    return head.position if head else 0


def find_people(user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """The people among `user_ids` who exist, by id."""
    deletion = Deletion.objects.filter(user_id=OuterRef("id"), state__in=BEGUN)
    users = User.objects.filter(id__in=user_ids).annotate(closing=Exists(deletion))
    rows = users.values_list("id", "username", "closing")
    return {row[0]: Person(id=row[0], username=row[1], closing=row[2]) for row in rows}


# --- deletions ----------------------------------------------------------------------------


def get_deletion(deletion_id: UUID) -> Deletion:
    """The deletion with its steps. Raises DeletionNotFound."""
    try:
        return Deletion.objects.prefetch_related("steps").get(id=deletion_id)
    except Deletion.DoesNotExist:
        raise DeletionNotFound from None


def list_deletions(state: str | None = None) -> QuerySet[Deletion]:
    """Deletions in this state, or all that have not ended; the newest first, with their steps."""
    deletions = Deletion.objects.filter(state__in=[state] if state else Deletion.OPEN)
    return deletions.prefetch_related("steps").order_by("-requested_at", "id")


def find_open_deletion(user_id: UUID) -> Deletion | None:
    """The deletion of this account that is scheduled or under way."""
    open_ones = Deletion.objects.filter(user_id=user_id, state__in=Deletion.OPEN)
    return open_ones.prefetch_related("steps").first()


def find_latest_deletion(user_id: UUID) -> Deletion | None:
    """The latest deletion of this account that was not cancelled, done or not."""
    deletions = Deletion.objects.filter(user_id=user_id).exclude(state=Deletion.State.CANCELLED)
    return deletions.prefetch_related("steps").order_by("-requested_at").first()


@dataclass(frozen=True)
class DueStep:
    """What one app has to delete of one user. `total` is None until it has been counted."""

    deletion_id: UUID
    user_id: UUID
    app: str
    deleted: int
    total: int | None


def list_due_steps(*, apps: Collection[str], limit: int) -> list[DueStep]:
    """The steps of running deletions that should be worked on now; who waits longest is first."""
    columns = ("deletion", "deletion__user_id", "app", "deleted", "total")
    rows = _due_steps(apps).order_by("next_at", "id").values_list(*columns)[:limit]
    return [DueStep(*row) for row in rows]


def _due_steps(apps: Collection[str]) -> QuerySet[DeletionStep]:
    undone = _undone_steps(Deletion.State.RUNNING)
    return undone.filter(app__in=apps, next_at__lte=timezone.now())


def _undone_steps(*states: Deletion.State) -> QuerySet[DeletionStep]:
    """Of deletions in one of these states, each of which is looked up by its id.

    By a join, statistics from before ten thousand accounts went at once have PostgreSQL read
    all open deletions for each of the steps.
    """
    state = Deletion.objects.filter(id=OuterRef("deletion")).values("state")
    steps = DeletionStep.objects.alias(deletion_state=Subquery(state))
    return steps.filter(deletion_state__in=states, state__in=DeletionStep.UNDONE)


def is_anything_due(*, apps: Collection[str]) -> bool:
    """Whether a deletion should be begun, worked on or finished now."""
    begun = Deletion.objects.filter(state=Deletion.State.SCHEDULED, starts_at__lte=timezone.now())
    return begun.exists() or _due_steps(apps).exists() or bool(list_worked_off(limit=1))


def list_worked_off(*, limit: int) -> dict[UUID, UUID]:
    """Running deletions of which no step is left to be done, and whom each is of."""
    undone = DeletionStep.objects.filter(deletion=OuterRef("id")).exclude(
        state=DeletionStep.State.DONE
    )
    running = Deletion.objects.filter(~Exists(undone), state=Deletion.State.RUNNING)
    return dict(running.values_list("id", "user_id")[:limit])


@dataclass(frozen=True)
class OpenDeletions:
    """All deletions that have not ended. The oldest due one: paused ones aside."""

    by_state: dict[str, int]
    rows_left: int
    oldest_due_seconds: float
    steps_failing: int


def count_open_deletions() -> OpenDeletions:
    open_ones = Deletion.objects.filter(state__in=Deletion.OPEN)
    numbers = open_ones.order_by().values_list("state").annotate(number=Count("id"))
    at_work = open_ones.exclude(state=Deletion.State.PAUSED)
    now = timezone.now()
    oldest = at_work.filter(starts_at__lte=now).aggregate(oldest=Min("starts_at"))["oldest"]
    steps = _undone_steps(*Deletion.OPEN)
    left = steps.aggregate(left=Sum(F("total") - F("deleted")))["left"]
    return OpenDeletions(
        by_state={state.value: 0 for state in Deletion.OPEN} | dict(numbers),
        rows_left=left or 0,
        oldest_due_seconds=(now - oldest).total_seconds() if oldest else 0.0,
        steps_failing=steps.filter(failures__gt=0).count(),
    )


def list_scheduled() -> list[UUID]:
    """Whose deletion is in its grace period."""
    scheduled = Deletion.objects.filter(state=Deletion.State.SCHEDULED)
    return list(scheduled.order_by("starts_at").values_list("user_id", flat=True))


def list_paused_steps(app: str) -> dict[UUID, datetime]:
    """Whose deletion is paused before this app was done, as far as was heard of it, and when."""
    paused = _undone_steps(Deletion.State.PAUSED).filter(app=app)
    heard_at = Coalesce("reported_at", "deletion__requested_at")
    return dict(paused.values_list("deletion__user_id", heard_at))


def list_certified(app: str, *, after: UUID, limit: int) -> list[UUID]:
    """The next of those whose deletion is done, this app having had its part, in order of id."""
    part = DeletionStep.objects.filter(deletion=OuterRef("id"), app=app)
    done = Deletion.objects.filter(Exists(part), state=Deletion.State.DONE, user_id__gt=after)
    return list(done.order_by("user_id").values_list("user_id", flat=True).distinct()[:limit])


def list_under_way(user_ids: Collection[UUID]) -> set[UUID]:
    """Those of `user_ids` whose deletion has begun and is not done."""
    deletions = Deletion.objects.filter(user_id__in=user_ids, state__in=BEGUN)
    return set(deletions.values_list("user_id", flat=True))


def list_deleted(user_ids: Collection[UUID]) -> set[UUID]:
    """Those of `user_ids` whose deletion has begun or is done."""
    irrevocable = (*BEGUN, Deletion.State.DONE)
    deletions = Deletion.objects.filter(user_id__in=user_ids, state__in=irrevocable)
    return set(deletions.values_list("user_id", flat=True))
