"""Who is who among the processes of a running epis, by their command lines."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

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
    ("bin/postgres", (POSTGRES, POSTGRES)),
)

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
