"""Everything was tried; and no fault may show as an error of the program, or as a refusal.

To be away for a moment is no error.
"""

from collections.abc import Iterator, Sequence

from faults.at_rest import AtRest
from faults.history import Exchange
from faults.judges.counting import owners_of_counters

# Where nobody was answered one of these, the other judges had nothing to look at.
TRIED = (
    *("increment", "increments", "read counter", "create todo", "read todo", "change todo"),
    *("rename", "delete account"),
)
# Of these an owner can be refused nothing, but for a todo that somebody else has changed.
ONES_OWN = (*TRIED[:-1], "create counter", "list counters")


def nothing_tried(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """A kind of request that was never answered well; with no history, each of them."""
    answered = {each.what for each in exchanges if each.succeeded}
    yield from (f"no {what!r} was ever answered" for what in TRIED if what not in answered)


def wrong_answers(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Answers from 500 on, but for 503; and refusals to somebody who was never asked to go."""
    going = {each.subject for each in exchanges if each.what == "delete account"}
    owner_of = owners_of_counters(exchanges) | {id: each.owner for id, each in rest.todos.items()}
    for each in exchanges:
        # A counter is known by its name as long as it is not known to be made.
        by_name = each.what in ("create counter", "list counters")
        owner = each.sent["owner"] if by_name else owner_of.get(each.subject, each.subject)
        stays = owner not in going
        if _is_error(each) or (each.what in ONES_OWN and stays and _is_refusal(each)):
            yield f"{each.what} {each.subject} at {each.began:.2f} s was answered {each.status}"


def _is_error(each: Exchange) -> bool:
    return each.status is not None and each.status >= 500 and each.status != 503


def _is_refusal(each: Exchange) -> bool:
    """Whether the answer is no, and neither "later" nor "you have read an older one"."""
    if each.what == "create counter" and each.status == 400:
        return False  # an attempt that was not answered has made it
    late = each.what == "change todo" and each.status == 412
    return not (each.may_have_happened or each.is_to_be_sent_again or late)
