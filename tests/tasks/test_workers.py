"""Real workers on a real broker: whatever either of them does, each increment counts once."""

import itertools
import json
import signal
import subprocess
import sys
import threading
from functools import partial
from uuid import UUID

import psutil
import pytest
from django.conf import settings
from django.db import connections, transaction

from apps.counter import public as counter
from apps.counter.models import Counter, Increment
from apps.users.models import User
from epis.celery import app
from tasks.doorbells import ring
from tests.conftest import Start
from tests.counter.ledger import faults_of
from tests.counter.unheard import accept_unheard
from tests.factories import UserFactory
from tests.people import EVERYWHERE
from tests.polling import wait_for
from tests.racing import race, wait_until_blocked
from tests.tasks.conftest import Broker, Crew, Worker, environment_of_tests

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada")


@pytest.fixture
def tally(ada: User) -> UUID:
    return counter.open_counter(owner_id=ada.id, name="tally")


def accept(counter_id: UUID, number: int) -> None:
    owner_id = Counter.objects.values_list("owner", flat=True).get(id=counter_id)
    for _ in range(number):
        counter.increment(counter_id=counter_id, owner_id=owner_id)


def applied(counter_id: UUID) -> int:
    return Increment.objects.filter(counter=counter_id, result__isnull=False).count()


def wait_until_applied(counter_id: UUID, number: int, *, seconds: float = 20) -> None:
    wait_for(f"{number} applied increments", lambda: applied(counter_id) == number, seconds=seconds)
    assert faults_of(counter_id) == []
    assert Counter.objects.get(id=counter_id).value == number


def kill_once_it_applied_more(worker: Worker, counter_id: UUID) -> None:
    before = applied(counter_id)
    wait_for("more being applied", lambda: applied(counter_id) > before)
    worker.kill()


class TestDoorbell:
    def test_leads_to_application_within_seconds(self, tally: UUID, crew: Crew) -> None:
        crew.worker("counter")

        accept(tally, 20)

        wait_until_applied(tally, 20, seconds=5)

    def test_waits_for_a_worker_that_comes_later(
        self, tally: UUID, broker: Broker, crew: Crew
    ) -> None:
        accept(tally, 3)
        wait_for("a message", lambda: broker.waiting("counter"))

        crew.worker("counter")

        wait_until_applied(tally, 3)

    def test_is_heard_by_a_worker_whose_broker_forgot_everything(
        self, tally: UUID, broker: Broker, crew: Crew
    ) -> None:
        crew.worker("counter")
        accept(tally, 1)
        wait_until_applied(tally, 1)

        broker.forget_everything()
        accept(tally, 1)

        wait_until_applied(tally, 2)

    def test_lets_a_command_wait_for_its_increment(self, tally: UUID, crew: Crew) -> None:
        crew.worker("counter")

        done = subprocess.run(
            [sys.executable, "manage.py", "tally", str(tally), "--amount", "7", "--wait", "20"],
            cwd=settings.BASE_DIR,
            env=environment_of_tests(crew.broker),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["result"] == 7


class TestSweep:
    """A message that is lost costs time only."""

    def test_applies_what_no_doorbell_told_of(
        self, tally: UUID, broker: Broker, crew: Crew
    ) -> None:
        accept(tally, 3)
        wait_for("a message", lambda: broker.waiting("counter"))
        broker.forget_everything()
        crew.worker("counter")
        accept_unheard(tally, 3)

        crew.schedule()

        wait_until_applied(tally, 6)

    def test_goes_on_when_the_broker_comes_back(
        self, tally: UUID, broker: Broker, crew: Crew
    ) -> None:
        crew.schedule()
        broker.kill()
        accept_unheard(tally, 3)
        broker.start()

        # As the supervisor does: a worker is restarted after its broker.
        crew.worker("counter")

        wait_until_applied(tally, 3)


class TestKilledWorker:
    def test_in_the_middle_of_a_batch_leaves_all_of_it_to_the_next(
        self, tally: UUID, crew: Crew
    ) -> None:
        accept_unheard(tally, 50)
        worker = crew.worker("counter")
        with transaction.atomic(using="counter"):  # noqa: TID251  (holds the worker up)
            Counter.objects.select_for_update().get(id=tally)
            ring("counter.apply_pending_increments", lane=0)
            wait_until_blocked(1, using="counter")
            worker.kill()

        assert not Increment.objects.filter(settled_at__isnull=False).exists()
        crew.worker("counter")
        ring("counter.apply_pending_increments", lane=0)

        wait_until_applied(tally, 50)

    def test_again_and_again_while_increments_arrive_doubles_and_loses_none(
        self, ada: User, tally: UUID, crew: Crew, start: Start
    ) -> None:
        over = threading.Event()

        def send() -> int:
            for sent in itertools.count():
                if over.wait(0.005):
                    return sent
                counter.increment(counter_id=tally, owner_id=ada.id)
            raise AssertionError

        try:
            crew.schedule()
            senders = [start(send) for _ in range(3)]
            for _ in range(3):
                kill_once_it_applied_more(crew.worker("counter"), tally)
        finally:
            over.set()
        crew.worker("counter")

        wait_until_applied(tally, sum(sender.result() for sender in senders))

    def test_finishes_its_batch_when_it_is_asked_to_stop(self, tally: UUID, crew: Crew) -> None:
        accept_unheard(tally, 50)
        worker = crew.worker("counter")
        with transaction.atomic(using="counter"):  # noqa: TID251  (holds the worker up)
            Counter.objects.select_for_update().get(id=tally)
            ring("counter.apply_pending_increments", lane=0)
            wait_until_blocked(1, using="counter")
            worker.process.send_signal(signal.SIGTERM)
            wait_for("the worker stopping", lambda: "Warm shutdown" in worker.log)

        worker.process.wait(timeout=20)
        wait_until_applied(tally, 50, seconds=0)


class TestKilledChild:
    def test_is_replaced_soon(self, crew: Crew) -> None:
        """Not once in a while only with Celery's own next look, which comes after five seconds."""
        worker = psutil.Process(crew.worker("counter").process.pid)
        for _ in range(12):
            wait_for("a child", worker.children, seconds=2.5)
            (child,) = worker.children()
            child.kill()
            wait_for("its end", partial(is_gone, worker, child), seconds=2.5)


def is_gone(worker: psutil.Process, child: psutil.Process) -> bool:
    return child not in worker.children()


class TestSecondConsumer:
    def test_stands_by_and_does_no_harm(self, ada: User, tally: UUID, crew: Crew) -> None:
        """Two processes on the queue that is meant for one, as in a careless deploy."""
        crew.worker("counter", processes=2)

        def send() -> None:
            for _ in range(100):
                counter.increment(counter_id=tally, owner_id=ada.id)
                ring("counter.apply_pending_increments", lane=0)

        race(send, send, send)

        wait_until_applied(tally, 300)


class TestSessions:
    def test_are_kept_from_one_task_to_the_next(self, crew: Crew) -> None:
        worker = crew.worker("background")
        look_once_more(worker)
        before = sessions_of_others()

        look_once_more(worker)

        assert len(before) == len(EVERYWHERE)
        assert sessions_of_others() == before

    def test_that_have_ended_are_replaced(self, crew: Crew) -> None:
        worker = crew.worker("background")
        look_once_more(worker)
        before = sessions_of_others()
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [[*before]])

        look_once_more(worker)

        assert len(sessions_of_others()) == len(EVERYWHERE)
        assert before.isdisjoint(sessions_of_others())

    def test_end_with_a_task_that_fails(self, crew: Crew) -> None:
        """Which may have left a lock in them, or a setting."""
        worker = crew.worker("background")
        look_once_more(worker)

        app.send_task("users.follow_changes", kwargs={"unknown": True})

        wait_for("the failure", lambda: "raised unexpected" in worker.log)
        wait_for("the end of all sessions", lambda: not sessions_of_others())


def look_once_more(worker: Worker) -> None:
    """Have the worker run a task that asks every database."""
    before = worker.log.count("succeeded in")
    ring("users.follow_changes")
    wait_for("a task's success", lambda: worker.log.count("succeeded in") > before)


def sessions_of_others() -> set[int]:
    """Those of other processes with the tests' databases, by process id."""
    names = [connections[alias].settings_dict["NAME"] for alias in EVERYWHERE]
    own = []
    for alias in EVERYWHERE:
        with connections[alias].cursor() as cursor:
            own.append(cursor.connection.info.backend_pid)
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = ANY (%s) AND pid <> ALL (%s)"
            " AND backend_type = 'client backend'",
            [names, own],
        )
        return {pid for (pid,) in cursor.fetchall()}
