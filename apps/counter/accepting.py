"""Accepting: puts increments into the inbox, each once per key.

What is accepted is committed, and will be counted, whoever dies. Accepting contends with
nobody, but for one who writes or moves the same key at the same moment: not with other
increments, not with the consumer, and not with a purge.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections

from apps.counter.errors import (
    AmountOutOfRange,
    CounterNotFound,
    KeyMalformed,
    KeyUsedForAnotherAmount,
)
from apps.counter.events import increments_accepted
from apps.counter.lanes import slot_of
from apps.counter.models import LARGEST_AMOUNT, LONGEST_KEY, Increment, Pending
from apps.counter.queries import find_increments, get_owner_of_changeable, is_owner_free
from apps.counter.watches import Watches
from kit.directory import Viewer
from kit.errors import Invalid
from kit.group_commit import GroupCommit
from kit.holdings import OwnerIsGone
from kit.ids import new_id
from kit.transactions import after_commit, durable

ALIAS = "counter"
WITH_OTHERS, ALONE = "200ms", "8s"  # how long a key is waited for
KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")  # visible ASCII

# A counter's row and its owner's are locked in the weakest way that holds off a purge. Where a
# purge is at work already its lock is stronger: what it removes is passed over, not waited for.
#
# Positions are drawn in the order of asking, but rows are written in the order of their keys:
# two transactions with the same keys would otherwise wait for each other. Of those with one key
# the first is written.
#
# A key that another transaction is just writing or moving is waited for: for a moment only where
# others share the commit, who then write alone.
INSERT = """
WITH patience AS MATERIALIZED (
    SELECT set_config('lock_timeout', %b, true)
), asked AS MATERIALIZED (
    SELECT nextval('counter_pending_position_seq') AS position, asked.*
    FROM patience,
         unnest(%b::uuid[], %b::text[], %b::int[], %b::int[]) AS asked (id, key, amount, asker)
), admitted AS MATERIALIZED (
    SELECT asker.number AS asker, asker.slot, asker.counter_id
    FROM unnest(%b::int[], %b::uuid[], %b::uuid[], %b::smallint[])
         AS asker (number, owner_id, counter_id, slot)
    JOIN counter_counter AS counter ON counter.id = asker.counter_id
    JOIN counter_owner AS owner ON owner.id = counter.owner_id
    WHERE counter.deleted_at IS NULL AND owner.tombstoned_at IS NULL
      AND (asker.owner_id IS NULL OR asker.owner_id = counter.owner_id)
    FOR KEY SHARE OF counter, owner SKIP LOCKED
), written AS (
    INSERT INTO counter_pending (position, id, counter_id, slot, key, amount)
    SELECT position, id, counter_id, slot, key, amount
    FROM asked JOIN admitted USING (asker)
    ORDER BY counter_id, key, position
    ON CONFLICT (counter_id, key) DO NOTHING
    RETURNING position
)
SELECT count(*), min(position), max(position), statement_timestamp(),
       set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)
FROM written
"""

# A statement of its own behind INSERT, for it must see all that was settled until then: a key
# that INSERT found free may just have left the inbox for the ledger. While that is young, its
# statistics may say that reading all of it is quickest, so INSERT has told the planner not to.
FIND_SETTLED = """
SELECT pending.id
FROM counter_pending AS pending JOIN counter_entry AS entry USING (counter_id, key)
WHERE pending.position BETWEEN %s AND %s
"""


class Asker(NamedTuple):
    """Who asks for increments of which counter."""

    counter_id: UUID
    viewer: Viewer


class Request(NamedTuple):
    """An increment that is asked for, under the id that it is to have."""

    id: UUID
    asker: Asker
    key: str
    amount: int


@dataclass(slots=True)
class Receipt:
    """The increment under a request's key as it stands, and whether that request made it."""

    id: UUID
    counter_id: UUID
    key: str
    amount: int
    accepted_at: datetime
    is_new: bool = True
    state: Increment.State = Increment.State.PENDING
    result: int | None = None
    applied_at: datetime | None = None


def accept_increment(
    *, counter_id: UUID, viewer: Viewer, amount: int = 1, key: str | None = None
) -> Receipt:
    """Accept an increment, once per key. A key seen before gives the first receipt as it stands.

    Those who ask at the same time share a commit; what is wrong with one concerns no other.
    Raises AmountOutOfRange, KeyMalformed, CounterNotFound, CounterNotYours,
    KeyUsedForAnotherAmount and OwnerIsGone.
    """
    request = _request(Asker(counter_id, viewer), amount, key)
    return _checked([request], [_inbox.submit(request)])[0]


def accept_increments(
    *, counter_id: UUID, viewer: Viewer, increments: Sequence[tuple[int, str | None]]
) -> list[Receipt]:
    """Accept all of these (amount, key), in this order, or none. Raises as `accept_increment`.

    They have a transaction of their own, for they are put back together. What is refused names
    the index of the first that is wrong.
    """
    asker = Asker(counter_id, viewer)
    requests = []
    for index, (amount, key) in enumerate(increments):
        try:
            requests.append(_request(asker, amount, key))
        except Invalid as error:
            error.field = f"[{index}].{error.field}"
            raise
    with durable(ALIAS):
        return _checked(requests, _put(requests, ALONE))


def _request(asker: Asker, amount: int, key: str | None) -> Request:
    if amount == 0 or abs(amount) > LARGEST_AMOUNT:
        raise AmountOutOfRange
    if key is not None and not KEY.fullmatch(key):
        raise KeyMalformed
    id = new_id()
    return Request(id, asker, str(id) if key is None else key, amount)


def _checked(requests: Sequence[Request], found: Sequence[Receipt | None]) -> list[Receipt]:
    """The receipts, if all requests of one asker have the one that they are to have."""
    if not all(receipt and receipt.is_new for receipt in found):
        get_owner_of_changeable(*requests[0].asker)  # not looked at yet, if nothing was written
    receipts = []
    for request, receipt in zip(requests, found, strict=True):
        if receipt is None:  # and yet the asker may change the counter: somebody has it locked
            raise CounterNotFound if is_owner_free(request.asker.counter_id) else OwnerIsGone
        if receipt.amount != request.amount:
            raise KeyUsedForAnotherAmount(key=request.key)
        receipts.append(receipt)
    return receipts


def _put_and_commit(requests: list[Request]) -> list[Receipt | None]:
    with durable(ALIAS):
        return _put(requests, WITH_OTHERS if len(requests) > 1 else ALONE)


_inbox = GroupCommit(_put_and_commit)
_watches = Watches()


def _put(requests: Sequence[Request], patience: str) -> list[Receipt | None]:
    """Put into the inbox what is new and allowed.

    The receipt that is there for each, or None. One that is not new may be another's to see.
    """
    new, accepted_at = _insert(requests, patience)
    receipts: dict[UUID, Receipt | None] = {
        id: Receipt(id, asker.counter_id, key, amount, accepted_at)
        for id, asker, key, amount in requests
        if id in new
    }
    if new:
        counter_ids = {request.asker.counter_id for request in requests if request.id in new}
        after_commit(ALIAS, lambda: _call_consumer(counter_ids))
    if len(new) < len(requests):
        receipts |= _first_receipts([request for request in requests if request.id not in new])
    return [receipts.get(request.id) for request in requests]


def _call_consumer(counter_ids: set[UUID]) -> None:
    """Announce increments that are committed, unless the consumer looks again anyway."""
    unwatched = {each for each in counter_ids if not _watches.covers(slot_of(each))}
    if unwatched:
        increments_accepted.send(Increment, counter_ids=unwatched)


def _insert(requests: Sequence[Request], patience: str) -> tuple[set[UUID], datetime]:
    """The ids of those that are in the inbox now and were nowhere before; and when it is."""
    new = {request.id for request in requests}
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(INSERT, (patience, *_columns(requests)))
        written, first, last, accepted_at, *_ = cursor.fetchone()
        if written == 0:
            return set(), accepted_at
        # What others wrote between these positions is found, too.
        there = Pending.objects.filter(position__range=(first, last))
        if written < len(requests):
            new.intersection_update(there.values_list("id", flat=True))
        cursor.execute(FIND_SETTLED, [first, last])
        settled = new.intersection(id for (id,) in cursor.fetchall())
    if settled:
        there.filter(id__in=settled).delete()
    return new - settled, accepted_at


def _columns(requests: Sequence[Request]) -> tuple[list[Any], ...]:
    askers: list[Asker] = []
    number_of_asker = []
    for request in requests:
        if not askers or request.asker != askers[-1]:
            askers.append(request.asker)
        number_of_asker.append(len(askers) - 1)
    return (
        [request.id for request in requests],
        [request.key for request in requests],
        [request.amount for request in requests],
        number_of_asker,
        list(range(len(askers))),
        [None if viewer.is_staff else viewer.user_id for _, viewer in askers],
        [counter_id for counter_id, _ in askers],
        [slot_of(counter_id) for counter_id, _ in askers],
    )


def _first_receipts(requests: Sequence[Request]) -> dict[UUID, Receipt | None]:
    """For each request the receipt of the first one with its key. None if that is purged."""
    keys = [(request.asker.counter_id, request.key) for request in requests]
    first = {(found.counter_id, found.key): found for found in find_increments(keys)}
    return {
        request.id: _receipt_of(first[key]) if key in first else None
        for request, key in zip(requests, keys, strict=True)
    }


def _receipt_of(increment: Increment) -> Receipt:
    return Receipt(
        id=increment.id,
        counter_id=increment.counter_id,
        key=increment.key,
        amount=increment.amount,
        accepted_at=increment.accepted_at,
        is_new=False,
        state=increment.state,
        result=increment.result,
        applied_at=increment.applied_at,
    )
