"""Deletions, steered by people: requested, cancelled, paused, resumed, tried again.

Every change of state is a compare-and-set, so of two that race one wins and the other
is told. How a deletion is carried out is in `cascading`.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.users.errors import UserNotFound, WrongDeletionState
from apps.users.events import deletion_requested, user_changed
from apps.users.models import Deletion, DeletionStep, Session, Token, User
from apps.users.queries import find_open_deletion, get_deletion
from kit.holdings import registered
from kit.transactions import after_commit, durable

ALIAS = "default"
State = Deletion.State
Step = DeletionStep.State


def request_deletion(*, user_id: UUID) -> Deletion:
    """Close an account at once and have everything of it deleted.

    One transaction: no sign-in, no token, no session, the deletion with its steps, and
    (by the trigger) a position in the feed. Repeated, it returns the same deletion.
    Raises UserNotFound.
    """
    grace = timedelta(seconds=settings.DELETION_GRACE_SECONDS)
    for _ in range(2):  # once more, if the open deletion was cancelled between the two looks
        with durable(ALIAS):
            if _close(user_id):
                return _open_deletion(user_id, grace)
        deletion = find_open_deletion(user_id)
        if deletion is not None:
            return deletion
    raise UserNotFound


def reopen_deletion(*, user_id: UUID) -> None:
    """Delete again, without grace, what a restored backup brought back of a deleted user.

    Needs no account: it may be only their rows that came back. It is under way at once, for
    what was deleted once can be cancelled no more. A deletion of theirs that is open already
    does as well; one that a backup has put back to its grace period is begun.
    """
    try:
        with durable(ALIAS):
            _close(user_id)
            waiting = Deletion.objects.filter(user_id=user_id, state=State.SCHEDULED)
            steps = DeletionStep.objects.filter(deletion__in=waiting)
            steps.update(next_at=timezone.now())
            if not waiting.update(state=State.RUNNING, starts_at=timezone.now()):
                _open_deletion(user_id, timedelta(0), State.RUNNING)
    except IntegrityError:
        if find_open_deletion(user_id) is None:
            raise


def _close(user_id: UUID) -> bool:
    """Let nobody in any more. False for an account that is closed already, or not there."""
    now = timezone.now()
    closed = User.objects.filter(id=user_id, closed_at=None).update(closed_at=now)
    Token.objects.filter(user_id=user_id).delete()
    Session.objects.filter(user_id=user_id).delete()
    return bool(closed)


def _open_deletion(
    user_id: UUID, grace: timedelta, state: Deletion.State = State.SCHEDULED
) -> Deletion:
    now = timezone.now()
    deletion = Deletion.objects.create(
        user_id=user_id, state=state, requested_at=now, starts_at=now + grace
    )
    DeletionStep.objects.bulk_create(
        # Not before it begins: among what is due, nobody has to look past those that wait.
        DeletionStep(deletion=deletion, app=holdings.app, next_at=deletion.starts_at)
        for holdings in registered()
    )
    after_commit(ALIAS, lambda: user_changed.send(User))
    after_commit(ALIAS, lambda: deletion_requested.send(Deletion))
    return get_deletion(deletion.id)


def cancel_deletion(*, deletion_id: UUID) -> Deletion:
    """Bring the account back while the deletion is only scheduled; tokens stay revoked.

    Raises WrongDeletionState once it has begun.
    """
    with durable(ALIAS):
        deletion = _move(deletion_id, [State.SCHEDULED], State.CANCELLED, at="finished_at")
        User.objects.filter(id=deletion.user_id).update(closed_at=None)
        after_commit(ALIAS, lambda: user_changed.send(User))
    return deletion


def pause_deletion(*, deletion_id: UUID) -> Deletion:
    """Hold a running deletion, from the next round of chunks on. Raises WrongDeletionState."""
    with durable(ALIAS):
        return _move(deletion_id, [State.RUNNING], State.PAUSED)


def resume_deletion(*, deletion_id: UUID) -> Deletion:
    """Let a paused deletion go on. Raises WrongDeletionState."""
    with durable(ALIAS):
        deletion = _move(deletion_id, [State.PAUSED], State.RUNNING)
        counted = DeletionStep.objects.filter(deletion_id=deletion_id, total__isnull=False)
        counted.update(reported_at=timezone.now())  # nobody is slow for having been paused
        after_commit(ALIAS, lambda: deletion_requested.send(Deletion))
    return deletion


def resume_deletion_of(*, user_id: UUID) -> None:
    """Let this user's deletion go on, if it is paused."""
    paused = Deletion.objects.filter(user_id=user_id, state=State.PAUSED)
    for deletion_id in paused.values_list("id", flat=True):
        with suppress(WrongDeletionState):  # somebody has resumed it meanwhile
            resume_deletion(deletion_id=deletion_id)


def postpone_deletions() -> int:
    """Begin every grace period anew; says how many are running.

    For users that were put back to a backup, which does not know what was cancelled since.
    """
    earliest = timezone.now() + timedelta(seconds=settings.DELETION_GRACE_SECONDS)
    with durable(ALIAS):
        scheduled = Deletion.objects.filter(state=State.SCHEDULED)
        steps = DeletionStep.objects.filter(deletion__in=scheduled)
        steps.update(next_at=Greatest("next_at", earliest))
        return scheduled.update(starts_at=Greatest("starts_at", earliest))


def retry_deletion(*, deletion_id: UUID) -> Deletion:
    """Try steps that have failed again now, not only when their pause is over.

    Raises WrongDeletionState for one that is not running.
    """
    with durable(ALIAS):
        _move(deletion_id, [State.RUNNING], State.RUNNING)
        failed = DeletionStep.objects.filter(deletion_id=deletion_id, failures__gt=0)
        failed.exclude(state=Step.DONE).update(next_at=timezone.now())
        after_commit(ALIAS, lambda: deletion_requested.send(Deletion))
        return get_deletion(deletion_id)


def _move(deletion_id: UUID, allowed: Iterable[str], to: str, *, at: str | None = None) -> Deletion:
    changes = {"state": to} | ({at: timezone.now()} if at else {})
    moved = Deletion.objects.filter(id=deletion_id, state__in=allowed).update(**changes)
    deletion = get_deletion(deletion_id)
    if not moved:
        raise WrongDeletionState(deletion.state)
    return deletion
