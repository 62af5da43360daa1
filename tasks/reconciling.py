"""Reconciling: compares what each database knows of the users, and mends what differs.

Following the feed keeps the databases in step. This finds what the feed cannot know of:
that one of them was put back to an older state.

- A user whom another database knows to be deleted is deleted again.
- Rows of a user who was deleted are deleted again.
- A name that differs is written again.
- Rows of a user of whom nobody knows anything are only reported: they may have been created
  after the backup of the users was made. A person decides.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from apps.users import public as users
from kit import holdings
from kit.directory import Person
from kit.holdings import Holdings
from kit.models import Owner

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
RENAMED = "a name was out of date"
UNKNOWN = "rows of a user whom nobody knows"


def reconcile(*, dry_run: bool = False) -> list[Finding]:
    """Compare every owner in every app with the users, and mend what differs.

    Returns what was found, mended or (with `dry_run`, or unknown) not.
    """
    findings = []
    for held in holdings.registered():
        while held.follow():
            pass  # what is only not yet followed is no difference
        for finding in find_differences(held):
            findings.append(finding)
            logger.warning("reconcile: %s: %s in %s", finding.what, finding.user_id, held.app)
            if not dry_run:
                _mend(held, finding)
    return findings


def find_differences(held: Holdings) -> Iterator[Finding]:
    """Page through one app's owners and yield what does not agree with the users."""
    for page in _pages(held):
        # The owners were read first: whoever had a tombstone then was being deleted already.
        ids = [owner.id for owner in page]
        people = users.find_people(ids)
        deleted = users.list_deleted(ids)
        gone = [owner.id for owner in page if owner.id not in people]
        left = held.rows_left(gone)
        for owner in page:
            if owner.id in people:
                what = _difference(owner, people[owner.id])
            else:
                expected = owner.id in deleted or owner.tombstoned_at is not None
                what = _difference_of_gone(held, owner, expected, left[owner.id] > 0)
            if what:
                yield Finding(what, held.app, owner.id)


def _difference(owner: Owner, person: Person) -> str | None:
    if person.closing:
        return None
    if owner.tombstoned_at is not None:
        return RETURNED
    return RENAMED if owner.username != person.username else None


def _difference_of_gone(held: Holdings, owner: Owner, expected: bool, has_rows: bool) -> str | None:
    if not expected:
        return UNKNOWN if has_rows else None
    if owner.purged_at is not None and not has_rows:
        return None
    # Not only when the page was read: the deletion may have ended since.
    return None if held.is_purged(owner.id) and not held.count(owner.id) else REMAINS


def _mend(held: Holdings, finding: Finding) -> None:
    if finding.what in (RETURNED, REMAINS):
        users.reopen_deletion(user_id=finding.user_id)
    elif finding.what == RENAMED:
        position = held.position()
        held.rename({finding.user_id}, start=position, end=position)


def _pages(held: Holdings) -> Iterator[list[Owner]]:
    owners = held.owners._default_manager.order_by("id")
    page = list(owners[:PAGE_ROWS])
    while page:
        yield page
        page = list(owners.filter(id__gt=page[-1].id)[:PAGE_ROWS])
