"""The cascade: carries every deletion that is due through the apps, a chunk at a time.

Each chunk is one short transaction in one app's database. What was reached is read from
that database and copied to the deletion, so it does not matter after which line a process
dies: the next look goes on from there.

Whatever is small is done many at a time, a chunk for all of them; whatever is large gets a
chunk at a time, as many rows as take `CHUNK_SECONDS`, and then waits until the others had
theirs. So it costs little to be one of many, and nobody waits for one that is huge.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded

from apps.users import public as users
from apps.users.public import DueStep, StepReport
from kit import holdings
from kit.holdings import START, Chunk, Holdings, NotEntombed, Position
from tasks.following import heed_a_restore

logger = logging.getLogger(__name__)

CHUNK_SECONDS = 0.1
LOOK_SECONDS = 3.0  # how long one look keeps a worker before it asks for another
# How old a list of what is due may be, and what is told of how far a deletion has come: who pauses
# one waits so long.
ROUND_SECONDS = 0.5
MOST_DELETIONS = 500  # worked on at a time
FIRST_ROWS, FEWEST_ROWS, MOST_ROWS = 2_000, 50, 150_000
GROWTH = 4  # of a chunk to the next, at most


def advance_deletions() -> bool:
    """Carry on with all that is due until the time is up. True if there is more to do.

    Does nothing while another worker is at it. Whoever called in vain meanwhile, when that one
    had looked for the last time, is made up for behind the lock.
    """
    with users.working_alone() as alone:
        if not alone:
            return False
        heed_a_restore()
        Look().work(seconds=LOOK_SECONDS)
    return users.is_anything_due(apps=[held.app for held in holdings.registered()])


@dataclass
class Pace:
    """How many rows of an app a chunk should have, to take as long as it may."""

    rows: int = FIRST_ROWS

    def learn(self, chunk: Chunk) -> None:
        """A small one that was quick says nothing; one that was slow does, however small."""
        fit = int(chunk.rows * CHUNK_SECONDS / max(chunk.seconds, 0.001))
        if chunk.rows >= self.rows // 2 or chunk.seconds > CHUNK_SECONDS:
            bounded = max(self.rows // GROWTH, min(fit, self.rows * GROWTH))
            self.rows = max(FEWEST_ROWS, min(bounded, MOST_ROWS))


@dataclass
class Look:
    """One worker's look. What it remembers makes it fast; nothing depends on it."""

    paces: dict[str, Pace] = field(default_factory=lambda: defaultdict(Pace))
    positions: dict[tuple[str, UUID], Position] = field(default_factory=dict)
    lost_tombstones: set[tuple[str, UUID]] = field(default_factory=set)
    has_ended_steps: bool = True  # so that deletions may be ready to be finished
    # Of the round:
    waiting: list[DueStep] = field(default_factory=list)  # for their next turn
    reports: dict[tuple[UUID, str], StepReport] = field(default_factory=dict)  # not yet recorded

    def work(self, *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.work_a_round() and time.monotonic() < deadline:
            pass

    def work_a_round(self) -> bool:
        """Give everybody due their turns. False if there was nothing to do."""
        begun = users.begin_due_deletions(limit=MOST_DELETIONS)
        worked = self._work_steps()
        # Once more behind those it has finished: there may be more than it takes at a time.
        self.has_ended_steps = self.has_ended_steps and _finish()
        return bool(begun or worked or self.has_ended_steps)

    def _work_steps(self) -> bool:
        """In turn, until all is done or it is time to see what else is due."""
        deadline = time.monotonic() + ROUND_SECONDS
        apps = {held.app: held for held in holdings.registered()}
        due = users.list_due_steps(apps=list(apps), limit=MOST_DELETIONS * len(apps))
        self.waiting, self.reports = list(due), {}
        down: set[str] = set()
        while self.waiting:
            group = self._next_group()
            held = apps[group[0].app]
            if held.app in down:
                self._fail(held, group, "the database does not answer")
            elif not self._try(held, group) and not held.is_reachable():
                down.add(held.app)
            if time.monotonic() > deadline:
                break
        self._tell()
        return bool(due)

    def _next_group(self) -> list[DueStep]:
        """Who is worked on together: of one app, and not more than a chunk may have by then.

        A group is where its first member is: nobody who is small waits behind all that are huge.
        """
        first, *others = self.waiting
        group, self.waiting = [first], []
        room = self.paces[first.app].rows - _left(first)
        for step in others:
            joins = step.app == first.app and _left(step) <= room
            if joins and len(group) < MOST_DELETIONS and not self._are_midway(first, step):
                group.append(step)
                room -= _left(step)
            else:
                self.waiting.append(step)
        return group

    def _are_midway(self, *steps: DueStep) -> bool:
        """Whether any of them has to go on from where its last chunk ended."""
        return any((step.app, step.user_id) in self.positions for step in steps)

    def _try(self, held: Holdings, group: Sequence[DueStep]) -> bool:
        """Give the group its turn. False, and said of the step, if that failed.

        If it is not for the database that a group fails, but for one of them, only that one
        does.
        """
        try:
            self._take_turn(held, group)
        except SoftTimeLimitExceeded:
            raise  # it is for this worker to end, and for no deletion to be tried again
        except Exception as error:
            if len(group) > 1 and held.is_reachable():
                outcomes = [self._try(held, [step]) for step in group]
                return all(outcomes)
            logger.exception("%s could not go on with %d deletion(s)", held.app, len(group))
            self._fail(held, group, _told(error))
            return False
        return True

    def _take_turn(self, held: Holdings, group: Sequence[DueStep]) -> None:
        unready = [step for step in group if self._is_unready(step)]
        ready = [step for step in group if not self._is_unready(step)]
        counted = _entomb_and_count(held, unready) if unready else []
        if counted:
            users.record_steps(reports=[_report(step) for step in counted])
            self.lost_tombstones -= {(step.app, step.user_id) for step in counted}
        if ready:
            self._work_on(held, ready)
        # Not before: if that fails, each is tried again alone, and would wait twice.
        self.waiting += counted

    def _work_on(self, held: Holdings, ready: Sequence[DueStep]) -> None:
        ids = [step.user_id for step in ready]
        try:
            chunk = self._purge(held, ids)
        except NotEntombed:
            # It went when a backup was put back. Set anew only if the deletion still goes on.
            self.lost_tombstones |= {(held.app, user_id) for user_id in ids}
            return
        self.paces[held.app].learn(chunk)
        self.has_ended_steps |= chunk.finished
        worked = [replace(step, deleted=chunk.deleted[step.user_id]) for step in ready]
        for step in worked:
            self.reports[step.deletion_id, step.app] = _report(step, chunk.finished)
        if chunk.finished:
            # At once: a paused step that has ended, and is not known to have, looks like one of
            # a backup that was put back.
            self._tell()
        else:
            self.waiting += worked

    def _tell(self) -> None:
        reports, self.reports = list(self.reports.values()), {}
        if reports:
            _record(reports)

    def _fail(self, held: Holdings, group: Sequence[DueStep], error: str) -> None:
        """Said instead of what its turns before came to: that would say that all is well."""
        for step in group:
            self.reports.pop((step.deletion_id, step.app), None)
        users.wake()
        ids = [step.deletion_id for step in group]
        users.fail_steps(deletion_ids=ids, app=held.app, error=error)

    def _is_unready(self, step: DueStep) -> bool:
        return step.total is None or (step.app, step.user_id) in self.lost_tombstones

    def _purge(self, held: Holdings, ids: Sequence[UUID]) -> Chunk:
        rows = self.paces[held.app].rows
        alone = (held.app, ids[0]) if len(ids) == 1 else None
        start = self.positions.pop(alone, START) if alone else START
        chunk = held.purge_chunk(*ids, rows=rows, start=start)
        if alone and not chunk.finished:
            self.positions[alone] = chunk.end
        return chunk


def _left(step: DueStep) -> int:
    """How many rows; none known of as long as they are not counted."""
    return 0 if step.total is None else step.total - step.deleted


def _entomb_and_count(held: Holdings, steps: Sequence[DueStep]) -> list[DueStep]:
    ids = [step.user_id for step in steps]
    lost = held.entomb(*ids)
    left = held.rows_of(ids)
    users.wake()
    return [
        replace(step, deleted=lost[step.user_id], total=lost[step.user_id] + left[step.user_id])
        for step in steps
    ]


def _report(step: DueStep, done: bool = False) -> StepReport:
    return StepReport(step.deletion_id, step.app, step.deleted, step.total or 0, done)


def _record(reports: Sequence[StepReport]) -> None:
    """Where that fails for one of them, it does so for no other. The step of that one says so."""
    users.wake()
    try:
        users.record_steps(reports=reports)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        if len(reports) > 1:
            for report in reports:
                _record([report])
            return
        (report,) = reports
        logger.exception("how far %s has come with a deletion could not be recorded", report.app)
        users.wake()
        ids = [report.deletion_id]
        users.fail_steps(deletion_ids=ids, app=report.app, error=_told(error))


def _finish() -> bool:
    """Turn deletions whose steps are all done into certificates, if a scan finds nothing left.

    Where rows are found, or an app cannot be scanned, its step has to be done once more.
    """
    subjects = users.list_worked_off(limit=MOST_DELETIONS)
    for held in holdings.registered() if subjects else []:
        try:
            left = held.rows_left(list(subjects.values()))
            users.wake()
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            users.wake()
            logger.exception("%s could not be scanned", held.app)
            users.reopen_steps(deletion_ids=list(subjects), app=held.app)
            users.fail_steps(deletion_ids=list(subjects), app=held.app, error=_told(error))
            held.is_reachable()  # replaces a connection that broke
            continue
        remaining = [each for each, user_id in subjects.items() if left[user_id]]
        if remaining:
            users.reopen_steps(deletion_ids=remaining, app=held.app)
    if subjects:
        _certify(subjects)
    return bool(subjects)


def _certify(subjects: Mapping[UUID, UUID]) -> None:
    """Where that fails for one of them, it does so for no other. A step of that one says so."""
    try:
        users.finish_deletions(subjects=subjects)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        if len(subjects) > 1:
            for each, user_id in subjects.items():
                _certify({each: user_id})
            return
        logger.exception("a deletion could not be finished")
        users.wake()
        app = holdings.registered()[0].app
        users.reopen_steps(deletion_ids=list(subjects), app=app)
        users.fail_steps(deletion_ids=list(subjects), app=app, error=_told(error))


def _told(error: Exception) -> str:
    """What staff are shown: the first line. Those behind it may quote a row."""
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return first
