"""Figures of a run: the recoveries that each kind of fault took."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faults.processes import PARTS

Recoveries = Mapping[str, Sequence[float]]


def recoveries(struck: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Seconds from the end of each fault that came alone until all was well, by its kind.

    Where there was nothing to strike at, nothing was recovered from.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for each in struck:
        if each["alone"] and each["hit"] and each["recovered"] is not None:
            found[each["kind"]].append(round(each["recovered"] - each["ended"], 2))
    return dict(found)


def merged(all_of_them: Iterable[Recoveries]) -> dict[str, list[float]]:
    """Those of several runs as one."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in all_of_them:
        for kind, seconds in each.items():
            found[kind].extend(seconds)
    return dict(sorted(found.items()))


def single_kills(of: Recoveries) -> list[float]:
    """All recoveries from the kill of one process; not of everything, or half of it."""
    return [second for part in PARTS for second in of.get(f"kill {part}", ())]
