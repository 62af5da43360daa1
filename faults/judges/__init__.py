"""The judges: functions of the history and of the databases at rest, and of nothing else.

Each yields one line per fault, and nothing when all is well. None of them asks epis, or uses a
line of its code.
"""

from collections.abc import Callable, Iterator, Sequence

from faults.at_rest import AtRest
from faults.history import Exchange
from faults.judges import accounts, answers, counting, order, todos

Judge = Callable[[Sequence[Exchange], AtRest], Iterator[str]]

JUDGES: dict[str, Judge] = {
    "tried": answers.nothing_tried,
    "lost": counting.lost,
    "doubled": counting.doubled,
    "sequence": order.broken_sequences,
    "tickets": order.unordered_tickets,
    "totals": order.impossible_totals,
    "todos": todos.lost_or_overwritten,
    "deletions": accounts.unfinished_deletions,
    "certificates": accounts.wrong_certificates,
    "orphans": accounts.orphans,
    "restored": accounts.lost_accounts,
    "renames": accounts.lost_renames,
    "answers": answers.wrong_answers,
}


def judge(exchanges: Sequence[Exchange], rest: AtRest) -> dict[str, list[str]]:
    """What each judge found."""
    return {name: list(judge(exchanges, rest)) for name, judge in JUDGES.items()}
