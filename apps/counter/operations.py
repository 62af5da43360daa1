"""Writes to the counter database by whoever asks. The consumer's own are in `consumer`."""

import re
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from apps.counter.errors import (
    AmountOutOfRange,
    CounterNotFound,
    KeyMalformed,
    KeyUsedForAnotherAmount,
    NameTaken,
)
from apps.counter.events import counter_deleted, increment_accepted
from apps.counter.models import LARGEST_AMOUNT, LONGEST_KEY, Counter, Increment
from apps.counter.owners import COUNTERS
from apps.counter.queries import get_counter, get_owner_of_changeable, list_deleted_counters
from kit.directory import Viewer
from kit.ids import new_id
from kit.transactions import after_commit, durable

ALIAS = "counter"
CHUNK_ROWS = 5_000
KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")  # visible ASCII


def create_counter(
    *, owner_id: UUID, name: str, description: str = "", visibility: str = "private"
) -> Counter:
    """Raises NameTaken, and OwnerIsGone for an account that is deleted or being deleted."""
    try:
        with COUNTERS.admitted(owner_id):
            counter = Counter.objects.create(
                owner_id=owner_id, name=name, description=description, visibility=visibility
            )
    except IntegrityError as error:
        raise _refusal(error) from None
    return get_counter(counter.id, Viewer(owner_id))


def change_counter(*, counter_id: UUID, viewer: Viewer, **changes: Any) -> Counter:
    """Change name, description or visibility; never the value.

    Raises CounterNotFound, CounterNotYours and NameTaken.
    """
    get_owner_of_changeable(counter_id, viewer)
    try:
        with durable(ALIAS):
            live = Counter.objects.filter(id=counter_id, deleted_at=None)
            live.update(**changes, updated_at=timezone.now())
    except IntegrityError as error:
        raise _refusal(error) from None
    return get_counter(counter_id, viewer)


def _refusal(error: IntegrityError) -> Exception:
    return NameTaken() if "counter_name_taken" in str(error) else error


def accept_increment(
    *, counter_id: UUID, viewer: Viewer, amount: int = 1, key: str | None = None
) -> tuple[Increment, bool]:
    """Put an increment into the ledger, once per key, and say whether it is new.

    When this returns, the increment is committed and will be counted, whoever dies. A
    key seen before gives the first receipt as it now stands. Contends with nobody: not
    with other increments, and not with the consumer.

    Raises AmountOutOfRange, KeyMalformed, CounterNotFound, CounterNotYours,
    KeyUsedForAnotherAmount and OwnerIsGone.
    """
    if amount == 0 or abs(amount) > LARGEST_AMOUNT:
        raise AmountOutOfRange
    if key is not None and not KEY.fullmatch(key):
        raise KeyMalformed
    owner_id = get_owner_of_changeable(counter_id, viewer)
    increment_id = new_id()
    increment = Increment(
        id=increment_id, counter_id=counter_id, key=key or str(increment_id), amount=amount
    )
    try:
        with COUNTERS.admitted(owner_id):
            Increment.objects.bulk_create([increment], ignore_conflicts=True)
            receipt = Increment.objects.get(counter=counter_id, key=increment.key)
            after_commit(ALIAS, lambda: increment_accepted.send(Increment))
    except (IntegrityError, Increment.DoesNotExist):
        # The counter went meanwhile, and with it the first increment under this key, or
        # this one found no counter any more at commit, when the foreign key is checked.
        raise CounterNotFound from None
    if receipt.amount != amount:
        raise KeyUsedForAnotherAmount
    return receipt, receipt.id == increment_id


def delete_counter(*, counter_id: UUID, viewer: Viewer) -> bool:
    """Take the counter out of sight at once. True if its ledger is already gone too.

    A long ledger is removed in the background. Raises CounterNotFound and CounterNotYours.
    """
    get_owner_of_changeable(counter_id, viewer)
    with durable(ALIAS):
        live = Counter.objects.filter(id=counter_id, deleted_at=None)
        live.update(deleted_at=timezone.now())
        after_commit(ALIAS, lambda: counter_deleted.send(Counter))
    return _purge_chunk(counter_id)


def purge_deleted_counters() -> bool:
    """Remove one chunk of every deleted counter's ledger. True if there is more to remove."""
    finished = [_purge_chunk(counter_id) for counter_id in list_deleted_counters()]
    return not all(finished)


def _purge_chunk(counter_id: UUID) -> bool:
    """Delete a chunk of the ledger, and behind the last one the counter. True when done.

    The counter is locked first: other purges wait, and until we have committed no further
    increment of it can be. Increments that somebody else has locked are left to a later look,
    for the consumer locks them before their counter, and may be waiting for us.
    """
    with durable(ALIAS):
        doomed = Counter.objects.filter(id=counter_id).exclude(deleted_at=None)
        list(doomed.select_for_update())
        ledger = Increment.objects.filter(counter=counter_id)
        free = ledger.select_for_update(skip_locked=True).values("pk")
        ledger.filter(pk__in=free[:CHUNK_ROWS]).delete()
        if ledger.exists():
            return False
        doomed.delete()
    return True
