"""Accepting: puts increments into the inbox, each once per key.

What is accepted is committed, and will be counted, whoever dies. Accepting contends with
nobody, but for one who writes the same key at the same moment: not with other increments, not
with the consumer, and not with a purge.
"""

import re
from collections.abc import Iterator, Sequence
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
    TokenUnknown,
)
from apps.counter.events import increments_accepted
from apps.counter.lanes import slot_of
from apps.counter.models import LARGEST_AMOUNT, LONGEST_KEY, Increment
from apps.counter.queries import find_increments, get_owner_of_changeable, is_owner_free
from apps.counter.watches import Watches
from apps.users import public as users
from kit.directory import Bearer, Viewer
from kit.errors import Invalid
from kit.group_commit import GroupCommit
from kit.holdings import OwnerIsGone
from kit.ids import new_id
from kit.transactions import after_commit, durable

ALIAS = "counter"
WITH_OTHERS, ALONE = "200ms", "8s"  # how long a key is waited for
KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")  # visible ASCII

# A function in the database (migration 0006), so that its statements take one round trip. It says
# when that was, and which of these ids it has not put into the inbox: their key is known, or their
# counter is not, or not theirs to change, or in the hands of a purge.
ACCEPT = """
SELECT accepted_at, known
FROM counter_accept(%b, %b::uuid[], %b::uuid[], %b::int[], %b::uuid[], %b::text[], %b::int[])
"""


class Request(NamedTuple):
    """An increment that is asked for, under the id that it is to have."""

    id: UUID
    counter_id: UUID
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
    *, counter_id: UUID, viewer: Viewer | Bearer, amount: int = 1, key: str | None = None
) -> Receipt:
    """Accept an increment, once per key. A key seen before gives the first receipt as it stands.

    Those who ask at the same time share a commit, and the look-up of their tokens; what is wrong
    with one concerns no other. Raises AmountOutOfRange, KeyMalformed, TokenUnknown,
    CounterNotFound, CounterNotYours, KeyUsedForAnotherAmount and OwnerIsGone.
    """
    request = _request(counter_id, amount, key)
    signed_in, receipt = _inbox.submit((request, viewer))
    if signed_in is None:
        raise TokenUnknown
    return _checked(signed_in, [request], [receipt])[0]


def accept_increments(
    *, counter_id: UUID, viewer: Viewer, increments: Sequence[tuple[int, str | None]]
) -> list[Receipt]:
    """Accept all of these (amount, key), in this order, or none. Raises as `accept_increment`.

    They have a transaction of their own, for they are put back together. What is refused names
    the index of the first that is wrong.
    """
    requests = []
    for index, (amount, key) in enumerate(increments):
        try:
            requests.append(_request(counter_id, amount, key))
        except Invalid as error:
            error.field = f"[{index}].{error.field}"
            raise
    with durable(ALIAS):
        return _checked(viewer, requests, _put(requests, [viewer] * len(requests), ALONE))


def _request(counter_id: UUID, amount: int, key: str | None) -> Request:
    if amount == 0 or abs(amount) > LARGEST_AMOUNT:
        raise AmountOutOfRange
    if key is not None and not KEY.fullmatch(key):
        raise KeyMalformed
    id = new_id()
    return Request(id, counter_id, str(id) if key is None else key, amount)


def _checked(
    viewer: Viewer, requests: Sequence[Request], found: Sequence[Receipt | None]
) -> list[Receipt]:
    """The receipts, if all of a viewer's requests of one counter have the one that is theirs."""
    if not all(receipt and receipt.is_new for receipt in found):
        # Not looked at yet, if nothing was written.
        get_owner_of_changeable(requests[0].counter_id, viewer)
    receipts = []
    for request, receipt in zip(requests, found, strict=True):
        if receipt is None:  # and yet the asker may change the counter: somebody has it locked
            raise CounterNotFound if is_owner_free(request.counter_id) else OwnerIsGone
        if receipt.amount != request.amount:
            raise KeyUsedForAnotherAmount(key=request.key)
        receipts.append(receipt)
    return receipts


def _put_and_commit(
    asked: list[tuple[Request, Viewer | Bearer]],
) -> list[tuple[Viewer | None, Receipt | None]]:
    """Who each of them turned out to be, None for nobody, and their receipt as `_put` has it."""
    bearers = {who for _, who in asked if isinstance(who, Bearer)}
    known = users.viewers_of(bearers) if bearers else {}
    viewers = [who if isinstance(who, Viewer) else known.get(who) for _, who in asked]
    requests = [request for (request, _), viewer in zip(asked, viewers, strict=True) if viewer]
    receipts: Iterator[Receipt | None] = iter(())
    if requests:
        with durable(ALIAS):
            by = [viewer for viewer in viewers if viewer]
            receipts = iter(_put(requests, by, WITH_OTHERS if len(asked) > 1 else ALONE))
    return [(viewer, next(receipts) if viewer else None) for viewer in viewers]


_inbox = GroupCommit(_put_and_commit)
_watches = Watches()


def _put(
    requests: Sequence[Request], viewers: Sequence[Viewer], patience: str
) -> list[Receipt | None]:
    """Put into the inbox what is new and what its viewer may ask for.

    The receipt that is there for each, or None. One that is not new may be another's to see.
    """
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(ACCEPT, (patience, *_columns(requests, viewers)))
        accepted_at, not_put = cursor.fetchone()
    known = set(not_put)
    receipts: dict[UUID, Receipt | None] = {
        id: Receipt(id, counter_id, key, amount, accepted_at)
        for id, counter_id, key, amount in requests
        if id not in known
    }
    if receipts:
        counter_ids = {request.counter_id for request in requests if request.id in receipts}
        after_commit(ALIAS, lambda: _call_consumer(counter_ids))
    if known:
        receipts |= _first_receipts([request for request in requests if request.id in known])
    return [receipts[request.id] for request in requests]


def _call_consumer(counter_ids: set[UUID]) -> None:
    """Announce increments that are committed, unless the consumer looks again anyway."""
    unwatched = {each for each in counter_ids if not _watches.covers(slot_of(each))}
    if unwatched:
        increments_accepted.send(Increment, counter_ids=unwatched)


def _columns(requests: Sequence[Request], viewers: Sequence[Viewer]) -> tuple[list[Any], ...]:
    counter_ids = [request.counter_id for request in requests]
    return (
        [request.id for request in requests],
        counter_ids,
        [slot_of(counter_id) for counter_id in counter_ids],
        [None if viewer.is_staff else viewer.user_id for viewer in viewers],
        [request.key for request in requests],
        [request.amount for request in requests],
    )


def _first_receipts(requests: Sequence[Request]) -> dict[UUID, Receipt | None]:
    """For each request the receipt of the first one with its key. None if that is purged."""
    keys = [(request.counter_id, request.key) for request in requests]
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
