"""Deletions: from the request to the certificate.

Every change of state is a compare-and-set, so of two that race one wins and the other
is told. Who deletes what in which app is not known here: the steps are named by the
registered holdings, worked by `tasks.cascade`, and reported back.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError
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

    Needs no account: it may be only their rows that came back. Does nothing while a
    deletion of theirs is open.
    """
    try:
        with durable(ALIAS):
            _close(user_id)
            _open_deletion(user_id, timedelta(0))
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


def _open_deletion(user_id: UUID, grace: timedelta) -> Deletion:
    now = timezone.now()
    deletion = Deletion.objects.create(user_id=user_id, requested_at=now, starts_at=now + grace)
    DeletionStep.objects.bulk_create(
        DeletionStep(deletion=deletion, app=holdings.app) for holdings in registered()
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
    """Hold a running deletion before its next chunk. Raises WrongDeletionState."""
    with durable(ALIAS):
        return _move(deletion_id, [State.RUNNING], State.PAUSED)


def resume_deletion(*, deletion_id: UUID) -> Deletion:
    """Let a paused deletion go on. Raises WrongDeletionState."""
    with durable(ALIAS):
        deletion = _move(deletion_id, [State.PAUSED], State.RUNNING)
        after_commit(ALIAS, lambda: deletion_requested.send(Deletion))
    return deletion


def begin_deletion(*, deletion_id: UUID) -> bool:
    """Start a deletion that is due. From here it cannot be cancelled.

    False if it is not (or no longer) to be worked on: paused, ended, or not yet due.
    """
    with durable(ALIAS):
        due = Deletion.objects.filter(
            id=deletion_id, state=State.SCHEDULED, starts_at__lte=timezone.now()
        )
        due.update(state=State.RUNNING)
        return is_running(deletion_id)


def is_running(deletion_id: UUID) -> bool:
    """Whether the next chunk may be deleted."""
    return Deletion.objects.filter(id=deletion_id, state=State.RUNNING).exists()


def record_step(*, deletion_id: UUID, app: str, deleted: int, total: int, done: bool) -> None:
    """Copy how far an app has come. It never goes back, however late a report arrives."""
    now = timezone.now()
    with durable(ALIAS):
        # An app that was added since the deletion was requested has no step yet.
        steps = DeletionStep.objects.select_for_update()
        step, _ = steps.get_or_create(deletion_id=deletion_id, app=app)
        if step.state == Step.DONE:
            return
        step.state = Step.DONE if done else Step.RUNNING
        step.started_at = step.started_at or now
        step.finished_at = now if done else None
        step.deleted = max(step.deleted, deleted)
        step.total = max(step.deleted, total)
        step.save()


def finish_deletion(*, deletion_id: UUID) -> None:
    """Remove the account itself and turn the deletion into its certificate.

    To be called when every step is done and the scan of every app found nothing left.
    """
    with durable(ALIAS):
        if DeletionStep.objects.filter(deletion_id=deletion_id).exclude(state=Step.DONE).exists():
            return
        now = timezone.now()
        done = {"state": State.DONE, "finished_at": now, "verified_at": now}
        if not Deletion.objects.filter(id=deletion_id, state=State.RUNNING).update(**done):
            return
        user_id = get_deletion(deletion_id).user_id
        Session.objects.filter(user_id=user_id).delete()  # begun while the account was closing
        User.objects.filter(id=user_id).delete()
        _forget_name(user_id)
        after_commit(ALIAS, lambda: user_changed.send(User))


def _forget_name(user_id: UUID) -> None:
    """The admin's log keeps what it called each row, and outlives the account."""
    accounts = ContentType.objects.get_for_model(User)
    logged = LogEntry.objects.filter(content_type=accounts, object_id=str(user_id))
    logged.update(object_repr=str(user_id))


def _move(deletion_id: UUID, allowed: Iterable[str], to: str, *, at: str | None = None) -> Deletion:
    changes = {"state": to} | ({at: timezone.now()} if at else {})
    moved = Deletion.objects.filter(id=deletion_id, state__in=allowed).update(**changes)
    deletion = get_deletion(deletion_id)
    if not moved:
        raise WrongDeletionState(deletion.state)
    return deletion
