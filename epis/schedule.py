"""Celery's schedule, which does not stand still where the clock was set back."""

from typing import Any

from celery.beat import PersistentScheduler


class Schedule(PersistentScheduler):
    """Whatever is said to have run in the future is taken to have run now.

    Celery reckons by the wall clock from when a task last ran, and keeps that in a file, so also
    behind a restart: set back by an hour, it would send nothing for an hour.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = self.app.now()
        entries = self.schedule.values()
        ahead = [each for each in entries if each.last_run_at and each.last_run_at > now]
        for entry in ahead:
            entry.last_run_at = now
        if ahead:
            self._heap = None  # it is made anew from the entries
        seconds: float = super().tick(*args, **kwargs)
        return seconds
