"""A core of its own for each process of the web server, where there are as many of both.

The threads of a process run one at a time, for they share Python's interpreter, and each goes on
with what the one before had in its core's cache. The kernel sees threads that may run anywhere,
and spreads them: on two cores an increment took a fifth less time where each process kept to one.
Web servers know it as "worker affinity".
"""

import errno
import os
import socket


def take_core(processes: int) -> int | None:
    """Keep this process, and the threads that it makes from now on, to a core of its own.

    Returns which. It stays this process's until its end, of whatever kind. `processes` is how
    many of one parent will ask. Unless just as many cores may be used all stay as they are, and
    it returns None: fewer processes would be kept from a core that is free by what else is on
    theirs, such as a second server that counts the same cores; more could not share them evenly.
    None, too, where no core is free, or the system does not let a process choose.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        cores = os.sched_getaffinity(0)
        if len(cores) != processes:
            return None
        return next((core for core in sorted(cores) if _take(core)), None)
    except OSError:
        return None


def _take(core: int) -> bool:
    """Whether it was free. Raises OSError where there is nothing to choose."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        # A name that no file stands for (unix(7), "abstract"): the kernel gives it to one.
        claim.bind(f"\0epis-core-{os.getppid()}-{core}")
        os.sched_setaffinity(0, {core})
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    claim.detach()  # open as long as the process is
    return True
