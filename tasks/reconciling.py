"""Reconciling: compares what each database knows of the users, and mends what differs.

Following the feed keeps the databases in step. This finds what the feed cannot know of:
that one of them, or two, were put back to an older state.

- A user who has a tombstone in any app is deleted again, wherever they or their rows came back.
- Rows of a user who was deleted are deleted again. So is one whose tombstone an app has lost.
- A deletion that the users believe to be paused, and that an app has done since, is resumed.
- A name that differs is written again.
- A deletion in its grace period may have been cancelled since the backup of the users was made:
  its grace period begins anew.
- Rows of a user of whom nobody knows anything are only reported: they may have been created
  after the backup of the users was made. A person decides.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.users import public as users
from kit import holdings
from kit.directory import Person
from kit.holdings import Holdings
from kit.models import Owner
from kit.purging import LOWEST
from tasks.following import users_were_put_back

logger = logging.getLogger(__name__)

PAGE_ROWS = 1_000


@dataclass(frozen=True)
class Finding:
    """One thing that differed: what, in which app, about whom."""

    what: str
    app: str
    user_id: UUID


RETURNED = "a deleted user had come back"
REMAINS = "rows of a deleted user were left"
LOST = "the tombstone of a deleted user was lost"
PAUSED = "a deletion that had gone on was paused"
RENAMED = "a name was out of date"
UNCERTAIN = "a deletion may have been cancelled"
UNKNOWN = "rows of a user whom nobody knows"

# What is done about it, in the words of "... is ..." and "... would be ...".
REMEDIES = {
    RETURNED: "deleted again",
    REMAINS: "deleted again",
    LOST: "deleted again",
    PAUSED: "resumed",
    RENAMED: "written again",
    UNCERTAIN: "given its grace period anew",
    UNKNOWN: "left for a person to decide",
}


def reconcile(*, dry_run: bool = False) -> list[Finding]:
    """Compare every owner in every app with the users, and mend what differs.

    Returns what was found, mended or (with `dry_run`, or unknown) not.
    """
    findings = []
    for finding in _differences(dry_run):
        findings.append(finding)
        logger.warning("reconcile: %s: %s in %s", finding.what, finding.user_id, finding.app)
        if not dry_run:
            _mend(finding)
    return findings


def _differences(dry_run: bool) -> Iterator[Finding]:
    if users_were_put_back():
        scheduled = users.list_scheduled()
        if not dry_run:
            users.postpone_deletions()  # all at once, and before an app follows
        for user_id in scheduled:
            yield Finding(UNCERTAIN, "users", user_id)
    for held in holdings.registered():
        while not dry_run and held.follow():
            pass  # what is only not yet followed is no difference
        yield from find_differences(held)
        yield from _find_lost_tombstones(held)
        for user_id, heard_at in users.list_paused_steps(held.app).items():
            # Only by something of which the users have not heard: they were put back since.
            if _is_purged(held, user_id, since=heard_at):
                yield Finding(PAUSED, held.app, user_id)


def find_differences(held: Holdings) -> Iterator[Finding]:
    """Page through one app's owners and yield what does not agree with the users."""
    for page in _pages(held):
        ids = [owner.id for owner in page]
        # Read before the users: whoever had a tombstone by then was being deleted already.
        entombed = {user_id for each in holdings.registered() for user_id in each.entombed(ids)}
        people = users.find_people(ids)
        under_way = users.list_under_way(ids)
        deleted = users.list_deleted(ids) | entombed
        left = held.rows_left([user_id for user_id in ids if user_id not in people])
        for owner in page:
            if owner.id in people:
                what = _difference(owner, people[owner.id], owner.id in entombed)
            elif owner.id in under_way:
                what = None
            else:
                what = _difference_of_gone(held, owner, owner.id in deleted, left[owner.id] > 0)
            if what:
                yield Finding(what, held.app, owner.id)


def _find_lost_tombstones(held: Holdings) -> Iterator[Finding]:
    """Of those who came and went after the app's backup was made: it has no row of them at all."""
    after = LOWEST
    while ids := users.list_certified(held.app, after=after, limit=PAGE_ROWS):
        known = held.owners._default_manager.filter(id__in=ids).values_list("id", flat=True)
        for user_id in sorted(set(ids) - set(known) - users.list_under_way(ids)):
            yield Finding(LOST, held.app, user_id)
        after = ids[-1]


def _difference(owner: Owner, person: Person, entombed: bool) -> str | None:
    if person.closing:
        return None
    if entombed:
        return RETURNED
    return RENAMED if owner.username != person.username else None


def _difference_of_gone(held: Holdings, owner: Owner, deleted: bool, has_rows: bool) -> str | None:
    if not deleted:
        return UNKNOWN if has_rows else None
    if owner.purged_at is not None and not has_rows:
        return None
    # Not only when the page was read: the deletion may have ended since.
    return None if _is_purged(held, owner.id) else REMAINS


def _is_purged(held: Holdings, user_id: UUID, *, since: datetime | None = None) -> bool:
    return held.is_purged(user_id, since=since) and not held.count(user_id)


def _mend(finding: Finding) -> None:
    if finding.what in (RETURNED, REMAINS, LOST):
        users.reopen_deletion(user_id=finding.user_id)
    elif finding.what == PAUSED:
        users.resume_deletion_of(user_id=finding.user_id)
    elif finding.what == RENAMED:
        held = next(held for held in holdings.registered() if held.app == finding.app)
        position = held.position()
        held.rename({finding.user_id}, start=position, end=position)


def delete_unknown(user_id: UUID) -> bool:
    """Delete the rows of a user whom nobody knows. False for one who is known, or has none."""
    if users.find_people([user_id]) or users.list_deleted([user_id]):
        return False
    if not any(held.count(user_id) for held in holdings.registered()):
        return False
    users.reopen_deletion(user_id=user_id)
    return True


def _pages(held: Holdings) -> Iterator[list[Owner]]:
    owners = held.owners._default_manager.order_by("id")
    page = list(owners[:PAGE_ROWS])
    while page:
        yield page
        page = list(owners.filter(id__gt=page[-1].id)[:PAGE_ROWS])
