"""Doorbells: rung at once and never in vain, whatever the broker does."""

import subprocess
import sys
import time
from datetime import timedelta
from statistics import median

import pytest
from django.conf import settings
from django.utils import timezone

from apps.counter import public as counter
from apps.counter.lanes import slot_of
from apps.counter.models import Increment, Watch
from apps.users.models import User
from tasks.doorbells import ring
from tests.clients import client_of
from tests.factories import UserFactory
from tests.polling import wait_for
from tests.racing import race
from tests.tasks.conftest import Broker, environment_of_tests, ring_through

APPLY = "counter.apply_pending_increments"
FOLLOW = "users.follow_changes"


def wait_for_message(broker: Broker, queue: str = "counter") -> None:
    wait_for(f"a message in {queue}", lambda: broker.waiting(queue))


class TestRing:
    def test_puts_a_message_into_the_queue_of_its_task(self, broker: Broker) -> None:
        ring(APPLY, lane=0)
        ring(FOLLOW)

        wait_for_message(broker, "counter")
        wait_for_message(broker, "background")
        assert (broker.waiting("counter"), broker.waiting("background")) == (1, 1)

    def test_says_which_lane_is_meant_where_there_are_lanes(self, broker: Broker) -> None:
        ring(APPLY, lane=0)
        ring(FOLLOW)

        wait_for_message(broker, "counter")
        wait_for_message(broker, "background")
        assert broker.arguments_waiting("counter") == [{"lane": 0}]
        assert broker.arguments_waiting("background") == [{}]

    def test_works_from_any_thread(self, broker: Broker) -> None:
        race(lambda: ring(APPLY, lane=0))

        wait_for_message(broker)

    def test_finds_its_queue_after_the_broker_forgot_everything(self, broker: Broker) -> None:
        ring(APPLY, lane=0)
        wait_for_message(broker)
        broker.forget_everything()

        ring(APPLY, lane=0)

        wait_for_message(broker)

    @pytest.mark.parametrize("was_there_before", [True, False])
    def test_returns_at_once_while_the_broker_is_dead(
        self, broker: Broker, was_there_before: bool
    ) -> None:
        if was_there_before:
            ring(APPLY, lane=0)
            wait_for_message(broker)
        broker.kill()

        times = [seconds_of_a_ring() for _ in range(1_000)]

        assert median(times) < 0.001
        assert sum(times) < 5  # on average; a single one may meet a busy machine

    def test_is_made_good_once_when_the_broker_is_back(self, broker: Broker) -> None:
        """However often it was rung meanwhile."""
        broker.kill()
        for _ in range(1_000):
            ring(APPLY, lane=0)

        broker.start()

        wait_for("the ring being made good", lambda: broker.waiting("counter"), seconds=5)
        ring(FOLLOW)
        wait_for_message(broker, "background")
        assert broker.waiting("counter") == 1

    def test_becomes_few_messages_when_rung_often(self, broker: Broker) -> None:
        started = time.monotonic()
        for _ in range(20_000):
            ring(APPLY, lane=0)
        took = time.monotonic() - started
        ring(FOLLOW)
        wait_for_message(broker, "background")

        assert 1 <= broker.waiting("counter") <= 2 + took / 0.02


def seconds_of_a_ring() -> float:
    started = time.perf_counter()
    ring(APPLY, lane=0)
    return time.perf_counter() - started


@pytest.mark.django_db(databases=["default", "counter"], transaction=True)
class TestWhoRings:
    @pytest.fixture
    def ada(self) -> User:
        return UserFactory.create(username="ada")

    def test_an_increment_does_once_it_is_committed(self, ada: User, broker: Broker) -> None:
        counter_id = counter.open_counter(owner_id=ada.id, name="tally")

        counter.increment(counter_id=counter_id, owner_id=ada.id)

        wait_for_message(broker)

    def test_no_increment_does_while_the_consumer_has_promised_to_look_again(
        self, ada: User, broker: Broker
    ) -> None:
        counter_id = counter.open_counter(owner_id=ada.id, name="tally")
        in_an_hour = timezone.now() + timedelta(hours=1)
        Watch.objects.create(slot=slot_of(counter_id), until=in_an_hour)

        for _ in range(20):
            counter.increment(counter_id=counter_id, owner_id=ada.id)

        ring_through(broker.url)  # once all that was rung is sent
        assert broker.waiting("counter") == 0

    def test_an_increment_is_accepted_as_fast_while_the_broker_is_dead(
        self, ada: User, broker: Broker
    ) -> None:
        client = client_of(ada)
        address = f"/api/counters/{client.post('/api/counters/', {'name': 'a'}).json()['id']}"
        broker.kill()

        times = []
        for _ in range(50):
            started = time.perf_counter()
            response = client.post(f"{address}/increments/")
            times.append(time.perf_counter() - started)
            assert response.status_code == 202

        assert median(times) < 0.1

    def test_a_command_does_before_it_ends(self, ada: User, broker: Broker) -> None:
        counter.open_counter(owner_id=ada.id, name="tally")

        done = tally(broker)

        assert (done.returncode, done.stderr) == (0, "")
        assert broker.waiting("counter") == 1

    def test_a_command_does_not_wait_for_a_dead_broker(self, ada: User, broker: Broker) -> None:
        counter.open_counter(owner_id=ada.id, name="tally")
        broker.kill()

        done = tally(broker)

        assert done.returncode == 0
        assert '"state": "pending"' in done.stdout
        assert Increment.objects.count() == 1


def tally(broker: Broker) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "tally", "ada/tally"],
        cwd=settings.BASE_DIR,
        env=environment_of_tests(broker),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
