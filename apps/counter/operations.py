"""Writes to counters by whoever asks. How increments come in is in `accepting`."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connections
from django.utils import timezone

from apps.counter.errors import NameTaken
from apps.counter.events import counter_deleted, increments_accepted
from apps.counter.models import Counter, Entry, Increment, Pending
from apps.counter.owners import COUNTERS, KEYS_OF_GONE
from apps.counter.queries import get_counter, get_owner_of_changeable, list_deleted_counters
from kit.directory import Viewer
from kit.transactions import after_commit, durable

ALIAS = "counter"
CHUNK_ROWS = 5_000


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


def delete_counter(*, counter_id: UUID, viewer: Viewer) -> bool:
    """Take the counter out of sight at once. True if its ledger is already gone too.

    A long ledger is removed in the background. Raises CounterNotFound and CounterNotYours.
    """
    get_owner_of_changeable(counter_id, viewer)
    with durable(ALIAS):
        live = Counter.objects.filter(id=counter_id, deleted_at=None)
        # The strongest lock, as for an owner's tombstone: only behind such a one does a
        # statement that began before see `deleted_at`, and pass over a row in a purge's hands.
        list(live.select_for_update())
        live.update(deleted_at=timezone.now())
        after_commit(ALIAS, lambda: counter_deleted.send(Counter))
    return _purge_chunk(counter_id)


def purge_deleted_counters() -> bool:
    """Remove one chunk of every deleted counter's ledger. True if there is more to remove."""
    finished = [_purge_chunk(counter_id) for counter_id in list_deleted_counters()]
    return not all(finished)


def _purge_chunk(counter_id: UUID) -> bool:
    """Delete a chunk of its increments, and behind the last one the counter. True when done.

    The counter is locked first: other purges wait, and until we have committed no further
    increment of it can be. Pending ones that somebody else has locked are left to a later
    look, for the consumer locks them before their counter, and may be waiting for us.
    """
    with durable(ALIAS):
        doomed = Counter.objects.filter(id=counter_id).exclude(deleted_at=None)
        list(doomed.select_for_update())
        inbox = Pending.objects.filter(counter=counter_id)
        ledger = Entry.objects.filter(counter=counter_id)
        free = inbox.select_for_update(skip_locked=True)
        # Not in one statement: a plan may ask anew for each row, and passes over what it took.
        _delete(Pending, counter_id, list(free.values_list("id", flat=True)[:CHUNK_ROWS]))
        _delete(Entry, counter_id, list(ledger.values_list("id", flat=True)[:CHUNK_ROWS]))
        if inbox.exists() or ledger.exists():
            return False
        doomed.delete()
    return True


def _delete(model: type[Pending | Entry], counter_id: UUID, ids: list[UUID]) -> None:
    """These increments of a counter, and their keys."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(
            f"""
            WITH gone AS (
                DELETE FROM {model._meta.db_table} WHERE counter_id = %s AND id = ANY (%s)
                RETURNING counter_id, key
            )
            {KEYS_OF_GONE}
            """,  # noqa: S608 - of our own names only  # nosec B608
            [counter_id, ids],
        )


def retry_set_aside(*, positions: Collection[int]) -> int:
    """Put those of these increments that are set aside back into the queue. Says how many.

    They keep their positions. What cannot be settled still is set aside again.
    """
    with durable(ALIAS):
        chosen = Pending.objects.filter(position__in=positions, set_aside_at__isnull=False)
        counters = chosen.order_by("position").select_for_update().values_list("counter", flat=True)
        counter_ids = set(counters)
        retried = chosen.update(set_aside_at=None, reason="")
        if retried:
            announce = increments_accepted.send
            after_commit(ALIAS, lambda: announce(Increment, counter_ids=counter_ids))
    return retried
