"""Every acknowledged increment is in the ledger exactly once, and no other twice."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from faults.at_rest import AtRest
from faults.history import NEVER, Exchange


class Asked(NamedTuple):
    """One increment of a request, and its receipt if there was one."""

    key: str
    amount: int
    receipt: dict[str, Any] | None


@dataclass
class Wish:
    """An increment as its client knows it, over all the times that it was sent.

    `accepted` and `applied` are when the client first knew so, or never. `refused` is whether it
    was told each time that nothing was done.
    """

    amount: int
    began: float
    accepted: float = NEVER
    applied: float = NEVER
    id: str = ""
    refused: bool = True


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
            wish.refused &= not exchange.may_have_happened
            if receipt is not None:
                wish.accepted = min(wish.accepted, exchange.known_by)
                wish.id = wish.id or receipt["id"]
                if receipt.get("state") == "applied":
                    wish.applied = min(wish.applied, exchange.known_by)
    return wishes


def owners_of_counters(exchanges: Sequence[Exchange]) -> dict[str, str]:
    """Whose each counter is, by its id."""
    owner_of: dict[str, str] = {}
    for each in exchanges:
        if each.what == "create counter" and each.succeeded:
            owner_of[each.answer["id"]] = each.sent["owner"]
        elif each.what == "list counters" and each.succeeded:
            owner_of |= {counter["id"]: each.sent["owner"] for counter in each.answer["results"]}
    return owner_of


def lost(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Acknowledged, and not applied, or other than acknowledged; but for who was deleted."""
    owner_of = owners_of_counters(exchanges)
    deleted = {each.user for each in rest.deletions if each.state == "done"}
    applied = {
        (each.counter, each.key): (each.id, each.amount)
        for each in rest.increments
        if each.place is not None
    }
    for (counter, key), wish in wishes_of(exchanges).items():
        is_gone = counter not in rest.counters and owner_of.get(counter) in deleted
        if wish.accepted == NEVER or is_gone:
            continue
        found = applied.get((counter, key))
        if found is None:
            yield f"increment {key} of {counter} was acknowledged and is not in the ledger"
        elif found != (wish.id, wish.amount):
            yield f"increment {key} of {counter} is {found}, not {(wish.id, wish.amount)}"


def doubled(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """There twice, or never sent, or refused; or answered as two different increments."""
    wishes = wishes_of(exchanges)
    times = Counter((each.counter, each.key) for each in rest.increments)
    for (counter, key), number in times.items():
        if number > 1:
            yield f"increment {key} of {counter} is there {number} times"
        elif (counter, key) not in wishes:
            yield f"increment {key} of {counter} was never sent"
        elif wishes[counter, key].refused:
            yield f"increment {key} of {counter} was refused and is there"
    for exchange in exchanges:
        for key, _, receipt in asked_in(exchange):
            first = wishes[exchange.subject, key].id
            if receipt is not None and receipt["id"] != first:
                yield f"increment {key} of {exchange.subject} has receipts {first}, {receipt['id']}"
