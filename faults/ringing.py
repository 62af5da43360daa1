"""Rings the consumer's bell a hundred times a second: `python -m faults.ringing`, until killed.

A message may come twice, or for nothing; here nearly all of them do.
"""

import time

from epis.celery import app

PAUSE_SECONDS = 0.01


def ring_for_ever() -> None:
    while True:
        try:
            app.send_task("counter.apply_pending_increments", kwargs={"lane": 0}, retry=False)
        except Exception:  # the broker is away: that is none of our concern
            time.sleep(1)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    ring_for_ever()
