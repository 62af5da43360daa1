"""What became of what the control arms had accepted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from faults.at_rest import Connections
from faults.control import ROWS
from faults.history import Exchange

TICKS = "SELECT number, count(*) FROM control_tick GROUP BY number"
DONE = "SELECT name, deleted FROM control_account WHERE gone"
ROWS_LEFT = "SELECT DISTINCT account FROM control_row"


@dataclass
class Verdict:
    """`orphans`: accepted deletions of which rows are left, or that were never said to be done.

    `miscounted`: those done that do not say how many rows there were.
    """

    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    deletions: int = 0
    orphans: int = 0
    miscounted: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def judge(exchanges: Sequence[Exchange], databases: Connections) -> Verdict:
    accepted = [each.sent["number"] for each in exchanges if _accepted(each, "control increment")]
    deleted = {each.sent["name"] for each in exchanges if _accepted(each, "control deletion")}
    ticks = Counter(dict(databases["counter"].execute(TICKS).fetchall()))
    done = dict(databases["default"].execute(DONE).fetchall())
    left = {
        name for alias in ("todos", "counter") for (name,) in databases[alias].execute(ROWS_LEFT)
    }
    orphaned = {name for name in deleted if name in left or name not in done}
    return Verdict(
        accepted=len(accepted),
        lost=sum(1 for number in accepted if not ticks[number]),
        doubled=sum(times - 1 for times in ticks.values() if times > 1),
        deletions=len(deleted),
        orphans=len(orphaned),
        miscounted=sum(1 for name in deleted - orphaned if done[name] != 2 * ROWS),
    )


def _accepted(exchange: Exchange, what: str) -> bool:
    return exchange.what == what and exchange.succeeded
