"""Who is who among the processes of a running epis, by their command lines."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

SUPERVISOR = "supervisor"
WEB, WEB_WORKER = "web server", "web worker"
CONSUMER, CONSUMER_CHILD = "consumer", "consumer's child"
BACKGROUND, BACKGROUND_CHILD = "background worker", "background worker's child"
SCHEDULE = "schedule"
BROKER = "broker"
POSTGRES, BACK_END = "postgres", "postgres back end"
PARTS = (
    *(SUPERVISOR, WEB, WEB_WORKER, CONSUMER, CONSUMER_CHILD, BACKGROUND, BACKGROUND_CHILD),
    *(SCHEDULE, BROKER, POSTGRES, BACK_END),
)

# A part and its child share a command line: the one whose parent is the supervisor comes first.
BY_COMMAND_LINE = (
    ("granian", (WEB, WEB_WORKER)),
    ("--queues counter", (CONSUMER, CONSUMER_CHILD)),
    ("--queues background", (BACKGROUND, BACKGROUND_CHILD)),
    (" beat ", (SCHEDULE, SCHEDULE)),
    ("valkey-server", (BROKER, BROKER)),
    ("postgres: epis epis_", (BACK_END, BACK_END)),
    ("bin/postgres", (POSTGRES, BACK_END)),  # one that has not said yet whom it serves
)
# Who has to go besides: the supervisor replaces whoever has lost the broker, and PostgreSQL sends
# everybody away when one back end has crashed.
GO_WITH = {BROKER: (CONSUMER, BACKGROUND, SCHEDULE), BACK_END: (BACK_END,)}

Family = Mapping[str, Sequence[psutil.Process]]


def family_of(supervisor: psutil.Process) -> Family:
    """The living processes of every part; none of a part that is away."""
    found: dict[str, list[psutil.Process]] = defaultdict(list)
    try:
        descendants = supervisor.children(recursive=True)
        found[SUPERVISOR] = [supervisor]
    except psutil.NoSuchProcess:
        return found
    for process in descendants:
        try:
            words, parent = " ".join(process.cmdline()), process.ppid()
        except psutil.Error:
            continue  # gone meanwhile
        for mark, (part, child) in BY_COMMAND_LINE:
            if mark in words:
                found[part if parent == supervisor.pid else child].append(process)
                break
    return found


def is_at_work(part: str, process: psutil.Process, logs: Path) -> bool:
    """Whether it does what it is for, as far as no pulse needs it to; else that it is there.

    One web worker serves while the other starts, and nobody waits for the schedule: Python has
    started when the one says so, and when the other is connected to the broker.
    """
    if part == WEB_WORKER:
        # The older file first, if there is one: what is long is shortened.
        log = "".join(
            each.read_text(errors="replace") for each in sorted(logs.glob("web.log*"))[::-1]
        )
        spawned = re.search(rf"Spawning (worker-\d+) with PID: {process.pid}\n", log)
        return spawned is not None and f"Started {spawned[1]}\n" in log[spawned.end() :]
    if part == SCHEDULE:
        try:
            return bool(process.net_connections("all"))
        except psutil.NoSuchProcess:
            return False
    return True


def going_with(victims: Iterable[psutil.Process], family: Family) -> set[psutil.Process]:
    """The victims, who has to go because of them, and whoever descends from those.

    To be asked before they are killed: who has lost its parent is given another.
    """
    going = set(victims)
    for part, others in GO_WITH.items():
        if not going.isdisjoint(family.get(part, ())):
            going.update(process for other in others for process in family.get(other, ()))
    parents: dict[psutil.Process, int] = {}
    for process in (process for found in family.values() for process in found):
        with suppress(psutil.NoSuchProcess):
            parents[process] = process.ppid()
    while True:
        pids = {process.pid for process in going}
        more = {process for process, parent in parents.items() if parent in pids} - going
        if not more:
            return going
        going |= more
