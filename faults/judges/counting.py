"""Every acknowledged increment is in the ledger exactly once, and no other twice."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from faults.history import NEVER, Exchange
from faults.rest import Rest


class Asked(NamedTuple):
    """One increment of a request, and its receipt if there was one."""

    key: str
    amount: int
    receipt: dict[str, Any] | None


@dataclass
class Wish:
    """An increment as its client knows it, over all the times that it was sent.

    `accepted` and `applied` are when the client first knew so, or never.
    """

    amount: int
    began: float
    accepted: float = NEVER
    applied: float = NEVER
    id: str = ""


def asked_in(exchange: Exchange) -> list[Asked]:
    if exchange.what == "increment":
        sent = exchange.sent
        receipt = exchange.answer if exchange.succeeded else None
        return [Asked(sent["key"], sent["amount"], receipt)]
    if exchange.what == "increments":
        receipts = exchange.answer["results"] if exchange.succeeded else [None] * len(exchange.sent)
        return [
            Asked(sent["key"], sent["amount"], receipt)
            for sent, receipt in zip(exchange.sent, receipts, strict=True)
        ]
    return []


def wishes_of(exchanges: Sequence[Exchange]) -> dict[tuple[str, str], Wish]:
    """By counter and key."""
    wishes: dict[tuple[str, str], Wish] = {}
    for exchange in exchanges:
        for key, amount, receipt in asked_in(exchange):
            wish = wishes.setdefault((exchange.subject, key), Wish(amount, exchange.began))
            wish.began = min(wish.began, exchange.began)
            if receipt is not None:
                wish.accepted = min(wish.accepted, exchange.known_by)
                wish.id = wish.id or receipt["id"]
                if receipt.get("state") == "applied":
                    wish.applied = min(wish.applied, exchange.known_by)
    return wishes


def lost(exchanges: Sequence[Exchange], rest: Rest) -> Iterator[str]:
    """Acknowledged, of a counter that still is, and not applied; or other than acknowledged."""
    applied = {
        (each.counter, each.key): (each.id, each.amount)
        for each in rest.increments
        if each.place is not None
    }
    for (counter, key), wish in wishes_of(exchanges).items():
        if wish.accepted == NEVER or counter not in rest.counters:
            continue
        found = applied.get((counter, key))
        if found is None:
            yield f"increment {key} of {counter} was acknowledged and is not in the ledger"
        elif found != (wish.id, wish.amount):
            yield f"increment {key} of {counter} is {found}, not {(wish.id, wish.amount)}"


def doubled(exchanges: Sequence[Exchange], rest: Rest) -> Iterator[str]:
    """In the ledger twice, or never sent; or answered as two different increments."""
    wishes = wishes_of(exchanges)
    times = Counter((each.counter, each.key) for each in rest.increments)
    counters = {counter for counter, _ in wishes}
    for (counter, key), number in times.items():
        if number > 1:
            yield f"increment {key} of {counter} is there {number} times"
        elif counter in counters and (counter, key) not in wishes:
            yield f"increment {key} of {counter} was never sent"
    for exchange in exchanges:
        for key, _, receipt in asked_in(exchange):
            first = wishes[exchange.subject, key].id
            if receipt is not None and receipt["id"] != first:
                yield f"increment {key} of {exchange.subject} has receipts {first}, {receipt['id']}"
