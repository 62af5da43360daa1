"""Doorbells: a wish to have a task look again, sent without anyone waiting for the broker.

`ring` only notes the bell: a task's name, and its lane if it has lanes. A thread of the process
sends it: one message however often it was rung meanwhile, and none while the broker is away. A
ring that is lost, with the broker or with this process, is made good by the next sweep.
"""

import atexit
import logging
import os
import threading

from celery import current_app

logger = logging.getLogger(__name__)

Bell = tuple[str, int | None]  # a task's name, and its lane

PAUSE_BETWEEN_SENDS = 0.05  # seconds in which rings of the same bell become one message
PAUSE_WHEN_BROKER_IS_AWAY = 1.0
GRACE_AT_EXIT = 1.0


class Ringer:
    """The rings waiting to be sent, and the thread that sends them."""

    def __init__(self) -> None:
        self._rung: set[Bell] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._broker_is_away = False

    def ring(self, bell: Bell) -> None:
        with self._changed:
            self._rung.add(bell)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbells", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Send what was rung, unless the broker takes longer than is worth waiting for."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(GRACE_AT_EXIT)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._rung or self._closing)
                if not self._rung:
                    return
                bells, self._rung = self._rung, set()
            sent = self._send(bells)
            with self._changed:
                if not sent:
                    self._rung |= bells
                pause = PAUSE_BETWEEN_SENDS if sent else PAUSE_WHEN_BROKER_IS_AWAY
                if self._changed.wait_for(lambda: self._closing, timeout=pause) and not sent:
                    return

    def _send(self, bells: set[Bell]) -> bool:
        try:
            for name, lane in bells:
                kwargs = {} if lane is None else {"lane": lane}
                current_app.tasks[name].apply_async(kwargs=kwargs, retry=False)
        except Exception as error:  # whatever it is, this thread must live to ring again
            if not self._broker_is_away:
                logger.warning("the broker is away, the sweep takes over: %s", error)
            self._broker_is_away = True
        else:
            if self._broker_is_away:
                logger.info("the broker is back")
            self._broker_is_away = False
        return not self._broker_is_away


_ringer = Ringer()
_pid = os.getpid()


def ring(task_name: str, *, lane: int | None = None) -> None:
    """Have a worker run this task soon, for this lane. Returns at once and never raises."""
    global _ringer, _pid
    if _pid != os.getpid():  # a fork has no thread of its parent's
        _ringer, _pid = Ringer(), os.getpid()
    _ringer.ring((task_name, lane))


@atexit.register
def _close() -> None:
    if _pid == os.getpid():
        _ringer.close()
