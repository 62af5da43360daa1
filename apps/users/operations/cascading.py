"""Carrying deletions out: what `tasks.cascade` begins, reports and finishes, many at a time.

Who deletes what in which app is not known here: the steps are named by the registered
holdings. Reports may come late, twice or from two workers at once; none takes a deletion back.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from apps.users.events import user_changed
from apps.users.models import Deletion, DeletionStep, Session, User
from kit.holdings import registered
from kit.purging import UNHURRIED
from kit.transactions import after_commit, durable

ALIAS = "default"
State = Deletion.State
Step = DeletionStep.State

WORK_LOCK = 0x64656C65
IDLE_SECONDS = 10  # after which a worker that holds the lock and does nothing loses it
RATE_SECONDS = 10  # over which the rate is smoothed
LONGEST_SILENCE = 600  # counted in seconds: exp() of more than two hours is too small a number
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2, 60
LONGEST_ERROR = 1_000

RECORD = """
WITH report AS (
    SELECT * FROM unnest(%(deletions)s::uuid[], %(apps)s::text[], %(deleted)s::bigint[],
                         %(totals)s::bigint[], %(done)s::bool[])
             AS report (deletion_id, app, deleted, total, done)
), step AS MATERIALIZED (
    SELECT step.*, report.deleted AS reported, report.total AS counted, report.done,
           least(greatest(extract(epoch FROM now() - coalesce(step.reported_at, step.started_at)),
                          0), %(longest)s)::float8 AS seconds
    FROM users_deletionstep AS step JOIN report USING (deletion_id, app)
    WHERE step.state <> 'done'
    ORDER BY step.id
    FOR UPDATE OF step
), paced AS (
    SELECT *, greatest(reported - deleted, 0) / nullif(seconds, 0) AS pace FROM step
)
UPDATE users_deletionstep AS recorded
SET state = CASE WHEN paced.done THEN 'done' ELSE 'running' END,
    started_at = coalesce(paced.started_at, now()),
    finished_at = CASE WHEN paced.done THEN now() END,
    reported_at = now(),
    deleted = CASE WHEN paced.done THEN paced.reported
                   ELSE greatest(paced.deleted, paced.reported) END,
    total = CASE WHEN paced.done THEN paced.reported
                 ELSE greatest(paced.deleted, paced.reported, paced.total, paced.counted) END,
    rate = coalesce(paced.rate + (paced.pace - paced.rate)
                                * (1 - exp(-paced.seconds / %(smoothed)s)), paced.pace, paced.rate),
    next_at = clock_timestamp(),
    failures = 0,
    last_error = ''
FROM paced
WHERE recorded.id = paced.id
"""


@dataclass(frozen=True)
class StepReport:
    """How far an app has come with one deletion. `total`: how many rows it will be in all."""

    deletion_id: UUID
    app: str
    deleted: int
    total: int
    done: bool = False


@contextmanager
def working_alone() -> Iterator[bool]:
    """Whether nobody else is carrying out deletions, and that nobody begins to meanwhile.

    For speed only: two at it would wait for each other, and keep all workers from anything
    else. The database lets go of the lock when the worker dies, or stands still for long.
    """
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [WORK_LOCK])
        if cursor.fetchone() != (True,):
            yield False
            return
    try:
        with connections[ALIAS].cursor() as cursor:
            timeout = f"{IDLE_SECONDS}s"
            cursor.execute("SELECT set_config('idle_session_timeout', %s, false)", [timeout])
        yield True
    finally:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [WORK_LOCK])
            cursor.execute("RESET idle_session_timeout")


def wake() -> None:
    """Replace a connection whose session has ended, after something that may have taken long.

    A worker that has lost the lock so has done nothing wrong, and what it reports is true.
    """
    connections[ALIAS].close_if_unusable_or_obsolete()


def begin_due_deletions(*, limit: int) -> int:
    """Start deletions that are due; says how many. From here they cannot be cancelled.

    A compare-and-set: whichever is being cancelled at this moment is waited for, and left alone.
    """
    with durable(ALIAS):
        due = Deletion.objects.filter(state=State.SCHEDULED, starts_at__lte=timezone.now())
        locked = due.order_by("starts_at", "id").select_for_update().values_list("id", flat=True)
        ids = list(locked[:limit])
        early = DeletionStep.objects.filter(deletion__in=ids, next_at__gt=timezone.now())
        early.update(next_at=timezone.now())  # of one that was begun before its time, by hand
        return Deletion.objects.filter(id__in=ids).update(state=State.RUNNING) if ids else 0


def record_steps(*, reports: Sequence[StepReport]) -> None:
    """Copy how far an app has come. It never goes back, however late a report arrives.

    Only the last one is taken at its word: an app that was put back in the middle of it may have
    had less to delete, and it is its count that the certificate is compared with. Those before
    need not wait for the disk: what a crash takes back is reported again.
    """
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        if not any(report.done for report in reports):
            cursor.execute(UNHURRIED)
        cursor.execute(
            RECORD,
            {
                "deletions": [report.deletion_id for report in reports],
                "apps": [report.app for report in reports],
                "deleted": [report.deleted for report in reports],
                "totals": [report.total for report in reports],
                "done": [report.done for report in reports],
                "smoothed": RATE_SECONDS,
                "longest": LONGEST_SILENCE,
            },
        )


def fail_steps(*, deletion_ids: Collection[UUID], app: str, error: str) -> None:
    """Note why an app could not go on, and leave these steps alone for a while.

    The pause grows with each failure in a row, up to a minute. A step that somebody has locked
    is passed over: that may be why it failed.
    """
    with durable(ALIAS), connections[ALIAS].cursor() as cursor:
        cursor.execute(
            """
            UPDATE users_deletionstep
            SET failures = failures + 1, last_error = %s,
                next_at = clock_timestamp() + make_interval(
                    secs => least(%s * 2.0 ^ least(failures, 30), %s))
            WHERE id IN (SELECT id FROM users_deletionstep
                         WHERE app = %s AND deletion_id = ANY (%s) AND state <> 'done'
                         ORDER BY id FOR UPDATE SKIP LOCKED)
            """,
            [
                error[:LONGEST_ERROR],
                FIRST_PAUSE_SECONDS,
                LONGEST_PAUSE_SECONDS,
                app,
                list(deletion_ids),
            ],
        )


def reopen_steps(*, deletion_ids: Collection[UUID], app: str) -> None:
    """Have an app look again that is done, and where rows were found all the same."""
    with durable(ALIAS):
        steps = DeletionStep.objects.filter(deletion__in=deletion_ids, app=app, state=Step.DONE)
        steps.update(state=Step.RUNNING, finished_at=None, next_at=timezone.now())


def finish_deletions(*, subjects: Mapping[UUID, UUID]) -> None:
    """Remove accounts and turn their deletions into certificates.

    `subjects`: the user of each deletion. To be called when the scan of every app has found
    nothing left of them. An app that was added since a deletion was requested gets its step
    now, and the deletion goes on.
    """
    with durable(ALIAS):
        _add_missing_steps(subjects)
        undone = DeletionStep.objects.filter(deletion=OuterRef("id")).exclude(state=Step.DONE)
        ended = Deletion.objects.filter(~Exists(undone), id__in=subjects, state=State.RUNNING)
        ids = list(ended.order_by("id").select_for_update().values_list("id", flat=True))
        now = timezone.now()
        done = Deletion.objects.filter(id__in=ids)
        done.update(state=State.DONE, finished_at=now, verified_at=now)
        user_ids = [subjects[deletion_id] for deletion_id in ids]
        # Also one that was begun while the account was closing.
        Session.objects.filter(user_id__in=user_ids).delete()
        User.objects.filter(id__in=user_ids).delete()
        _forget_names(user_ids)
        after_commit(ALIAS, lambda: user_changed.send(User))


def _add_missing_steps(deletion_ids: Collection[UUID]) -> None:
    there = DeletionStep.objects.filter(deletion__in=deletion_ids)
    present = set(there.values_list("deletion", "app"))
    wanted = {(each, held.app) for each in deletion_ids for held in registered()}
    DeletionStep.objects.bulk_create(
        (DeletionStep(deletion_id=each, app=app) for each, app in wanted - present),
        ignore_conflicts=True,
    )


def _forget_names(user_ids: Collection[UUID]) -> None:
    """The admin's log keeps what it called each row, and outlives the account."""
    accounts = ContentType.objects.get_for_model(User)
    ids = [str(user_id) for user_id in user_ids]
    logged = LogEntry.objects.filter(content_type=accounts, object_id__in=ids)
    logged.update(object_repr=F("object_id"))
