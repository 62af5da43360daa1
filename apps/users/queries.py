"""Reads of the users database. Nothing here writes."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.users.errors import DeletionNotFound, TokenNotFound, UserNotFound
from apps.users.models import Deletion, FeedHead, Token, User, UserChange
from kit.directory import Change, Person, Viewer

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


def find_user_id(username: str) -> UUID | None:
    """The id of the account with this name, ignoring case."""
    return User.objects.filter(username__iexact=username).values_list("id", flat=True).first()


def list_tokens(user_id: UUID) -> QuerySet[Token]:
    return Token.objects.filter(user_id=user_id).order_by("-id")


def get_token(token_id: UUID, user_id: UUID) -> Token:
    """Raises TokenNotFound, also for someone else's."""
    try:
        return list_tokens(user_id).get(id=token_id)
    except Token.DoesNotExist:
        raise TokenNotFound from None


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


def subject_of(deletion_id: UUID) -> UUID:
    """The id of the user whom this deletion deletes. Raises DeletionNotFound."""
    return get_deletion(deletion_id).user_id


def find_open_deletion(user_id: UUID) -> Deletion | None:
    """The deletion of this account that is scheduled or under way."""
    open_ones = Deletion.objects.filter(user_id=user_id, state__in=Deletion.OPEN)
    return open_ones.prefetch_related("steps").first()


def find_latest_deletion(user_id: UUID) -> Deletion | None:
    """The latest deletion of this account that was not cancelled, done or not."""
    deletions = Deletion.objects.filter(user_id=user_id).exclude(state=Deletion.State.CANCELLED)
    return deletions.prefetch_related("steps").order_by("-requested_at").first()


def list_due_deletions() -> list[UUID]:
    """The deletions that should be at work now, oldest first."""
    at_work = (Deletion.State.SCHEDULED, Deletion.State.RUNNING)
    due = Deletion.objects.filter(state__in=at_work, starts_at__lte=timezone.now())
    return list(due.order_by("starts_at").values_list("id", flat=True))


def list_deleted(user_ids: Collection[UUID]) -> set[UUID]:
    """Those of `user_ids` whose deletion has begun or is done."""
    irrevocable = (*BEGUN, Deletion.State.DONE)
    deletions = Deletion.objects.filter(user_id__in=user_ids, state__in=irrevocable)
    return set(deletions.values_list("user_id", flat=True))
