"""What the sweeps are sent by: not even a clock that is set back keeps it from sending them."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from epis.celery import app
from epis.schedule import Schedule
from tests.people import EVERYWHERE
from tests.polling import wait_for
from tests.tasks.conftest import Broker, Crew

HOUR = timedelta(hours=1)


def schedule_of_an_hour_ahead(file: Path) -> Schedule:
    """As one that ran until just now, when its clock was set back."""
    schedule = Schedule(app=app, schedule_filename=str(file))
    schedule.tick()  # nothing is due yet
    for entry in schedule.schedule.values():
        entry.last_run_at = app.now() + HOUR
    schedule.populate_heap()
    return schedule


class TestClockSetBack:
    def test_is_heeded_by_who_runs(self, tmp_path: Path) -> None:
        with closing(schedule_of_an_hour_ahead(tmp_path / "schedule")) as schedule:
            pause = schedule.tick()

        assert pause <= settings.SWEEP_SECONDS

    @pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
    def test_is_heeded_by_who_is_started_behind_it(self, broker: Broker, crew: Crew) -> None:
        broker.locations.run.mkdir(parents=True, exist_ok=True)
        schedule_of_an_hour_ahead(broker.locations.run / "schedule").close()

        crew.schedule()

        wait_for("a sweep", lambda: broker.waiting("counter"))
