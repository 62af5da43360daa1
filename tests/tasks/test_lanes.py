"""A queue, a consumer and a sweep for each lane of counters, and who takes over when one dies."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.test import override_settings

from apps.counter import public as counter
from apps.counter.models import Counter, Increment
from apps.users.models import User
from epis.celery import app, configure, counter_queue, route
from epis.embedded.locations import Locations
from epis.supervisor import parts
from tasks.doorbells import ring
from tests.conftest import Start
from tests.counter.ledger import faults_of
from tests.counter.unheard import accept_unheard
from tests.factories import UserFactory
from tests.people import EVERYWHERE
from tests.polling import wait_for
from tests.racing import wait_until_blocked
from tests.tasks.conftest import Broker, Crew, Worker, environment_of_tests
from tests.test_settings import complaints_about, run

APPLY = "counter.apply_pending_increments"
TAKES_OVER_IN = 5  # seconds


class TestSetting:
    @pytest.mark.parametrize("number", ["0", "65", "-1", "many", "1.5"])
    def test_of_a_number_that_cannot_be_is_refused(self, number: str) -> None:
        assert list(complaints_about(COUNTER_LANES=number)) == ["COUNTER_LANES"]

    @pytest.mark.parametrize("number", ["1", "64"])
    def test_takes_any_other(self, number: str) -> None:
        code = "from epis import settings; print(settings.COUNTER_LANES)"

        assert run("-c", code, COUNTER_LANES=number).stdout == f"{number}\n"

    def test_is_no_more_than_there_are_slots(self) -> None:
        assert counter.MOST_LANES == 64


class TestDelivery:
    @pytest.fixture(params=[1, 2, 64])
    def lanes(self, request: pytest.FixtureRequest) -> Iterator[int]:
        with override_settings(COUNTER_LANES=request.param):
            configure()
            yield request.param
        configure()

    def test_has_a_queue_for_each_lane(self, lanes: int) -> None:
        queues = [queue.name for queue in app.conf.task_queues]

        assert len(queues) == len(set(queues)) == lanes + 1
        assert set(queues) == {*map(counter_queue, range(lanes)), "background"}
        assert counter_queue(0) == "counter"  # what a broker still holds from one lane is heard

    def test_sweeps_each_lane_into_its_own_queue(self, lanes: int) -> None:
        swept = [each for each in app.conf.beat_schedule.values() if each["task"] == APPLY]

        queues = [route(each["task"], (), each["kwargs"])["queue"] for each in swept]
        assert sorted(each["kwargs"]["lane"] for each in swept) == list(range(lanes))
        assert queues == [counter_queue(each["kwargs"]["lane"]) for each in swept]
        assert route("users.reconcile", (), {})["queue"] == "background"

    def test_gives_each_lane_one_consumer_with_one_process(
        self, lanes: int, tmp_path: Path
    ) -> None:
        workers = parts.workers(Locations(tmp_path))

        told = {}
        for worker in workers:
            words = worker.prepare().command
            told[words[words.index("--queues") + 1]] = words[words.index("--concurrency") + 1]
        assert len({worker.name for worker in workers}) == lanes + 1
        assert told == dict.fromkeys(map(counter_queue, range(lanes)), "1") | {"background": "2"}


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada")


def applied(counter_id: UUID) -> int:
    return Increment.objects.filter(counter=counter_id, result__isnull=False).count()


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestThreeLanes:
    @pytest.fixture(autouse=True)
    def three_lanes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For every process that is started."""
        monkeypatch.setenv("COUNTER_LANES", "3")

    @pytest.fixture
    def tallies(self, ada: User) -> list[UUID]:
        """One in each lane."""
        found: dict[int, UUID] = {}
        for name in itertools.count():
            counter_id = counter.open_counter(owner_id=ada.id, name=str(name))
            found.setdefault(counter.lane_of(counter_id, 3), counter_id)
            if len(found) == 3:
                break
        return [found[lane] for lane in range(3)]

    def test_are_worked_by_their_own_consumers(self, tallies: list[UUID], crew: Crew) -> None:
        for tally in tallies:
            accept_unheard(tally, 3)
        crew.schedule()

        crew.worker("counter-1")
        wait_for("lane 1 being applied", lambda: applied(tallies[1]) == 3)
        others = [applied(tallies[0]), applied(tallies[2])]
        crew.worker("counter")
        crew.worker("counter-2")
        wait_for("all being applied", lambda: [applied(each) for each in tallies] == [3, 3, 3])

        assert others == [0, 0]

    def test_have_bells_of_their_own(self, tallies: list[UUID], broker: Broker) -> None:
        for tally in tallies[1:]:
            subprocess.run(
                [sys.executable, "manage.py", "tally", str(tally)],
                cwd=settings.BASE_DIR,
                env=environment_of_tests(broker),
                check=True,
                capture_output=True,
                timeout=60,
            )

        assert [broker.waiting(counter_queue(lane)) for lane in range(3)] == [0, 1, 1]


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestTakeover:
    """Two consumers of one lane: the second stands by, and goes on when the first is killed."""

    @pytest.fixture
    def tally(self, ada: User) -> UUID:
        return counter.open_counter(owner_id=ada.id, name="tally")

    @pytest.fixture(autouse=True)
    def broker_first(self, broker: Broker) -> Broker:
        return broker

    def worker(self, crew: Crew, name: str, monkeypatch: pytest.MonkeyPatch) -> Worker:
        monkeypatch.setenv("PGAPPNAME", name)  # by which PostgreSQL knows its sessions
        return crew.worker("counter")

    def test_in_the_middle_of_a_batch_doubles_and_loses_none(
        self, tally: UUID, crew: Crew, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        accept_unheard(tally, 50)
        workers = {name: self.worker(crew, name, monkeypatch) for name in ("one", "other")}
        with transaction.atomic(using="counter"):  # noqa: TID251  (holds the first one up)
            Counter.objects.select_for_update(no_key=True).get(id=tally)
            ring(APPLY)
            wait_until_blocked(1, using="counter")
            ring(APPLY)
            wait_until_blocked(2, using="counter")
            at_work, standing_by = consumers()
            workers[at_work].kill()

        wait_for("all being applied", lambda: applied(tally) == 50, seconds=TAKES_OVER_IN)

        assert {at_work, standing_by} == {"one", "other"}
        assert whole(tally, 50)

    def test_under_load_takes_seconds(
        self, ada: User, tally: UUID, crew: Crew, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = threading.Event()

        def send() -> int:
            for sent in itertools.count():
                if over.wait(0.01):
                    return sent
                counter.increment(counter_id=tally, owner_id=ada.id)
            raise AssertionError

        crew.schedule()  # calls for what relied on the promise of one that was killed
        working = self.worker(crew, "worker-0", monkeypatch)
        senders = [start(send) for _ in range(2)]
        try:
            for number in range(1, 4):
                successor = self.worker(crew, f"worker-{number}", monkeypatch)
                wait_until_more_is_applied(tally)
                working.kill()
                receipt = counter.increment(counter_id=tally, owner_id=ada.id, key=f"k-{number}")
                wait_for(
                    "what came after the kill being applied",
                    Increment.objects.filter(id=receipt, result__isnull=False).exists,
                    seconds=TAKES_OVER_IN,
                )
                working = successor
        finally:
            over.set()
        total = sum(sender.result() for sender in senders) + 3

        wait_for("all being applied", lambda: applied(tally) == total)
        assert whole(tally, total)


def wait_until_more_is_applied(tally: UUID) -> None:
    before = applied(tally)
    wait_for("more being applied", lambda: applied(tally) > before)


def consumers() -> tuple[str, str]:
    """The names of the one at work, which waits for a row, and of the one that stands by."""
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            "SELECT application_name FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "ORDER BY wait_event = 'advisory'"
        )
        (at_work,), (standing_by,) = cursor.fetchall()
    return at_work, standing_by


def whole(tally: UUID, number: int) -> bool:
    """Whether the places, and the results of increments by 1, are 1, 2, 3 … to this number."""
    assert faults_of(tally) == []
    in_order = Increment.objects.filter(counter=tally).order_by("place")
    return list(in_order.values_list("place", "result")) == [(n, n) for n in range(1, number + 1)]
