"""Requests at the same time share a commit; what is wrong with one concerns no other."""

import itertools
import threading
from typing import Any
from uuid import UUID

import pytest
from django.db import close_old_connections, connections
from rest_framework.test import APIClient

from apps.counter import accepting
from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.models import Counter, Increment
from apps.counter.operations import delete_counter
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.directory import Viewer
from kit.ids import new_id
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import (
    ACCEPTING,
    Died,
    Pause,
    dying_at,
    paused_after,
    terminate_other_sessions,
)
from tests.counter.ledger import faults_of
from tests.kit.gathering import wait_until_gathered
from tests.polling import wait_for
from tests.racing import join

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)


def address(counter_id: UUID) -> str:
    return f"/api/counters/{counter_id}/increments/"


def transactions(*keys: str) -> int:
    """How many transactions wrote the pending increments with these keys."""
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT xmin::text) FROM counter_pending WHERE key = ANY (%s)",
            [list(keys)],
        )
        (number,) = cursor.fetchone()
    return int(number)


class TestGroup:
    """Requests that gather while the one before them is being written."""

    def test_is_written_in_one_transaction(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        keys = [f"key-{number}" for number in range(10)]
        clients = [client_of(ada) for _ in keys]

        sending = [
            start(client.post, address(tally), {"key": key, "amount": number})
            for number, (client, key) in enumerate(zip(clients, keys, strict=True), start=1)
        ]
        wait_until_gathered(accepting._inbox, 10)
        pause.end()

        receipts = [each.result().json() for each in sending]
        assert [receipt["key"] for receipt in receipts] == keys
        assert [receipt["amount"] for receipt in receipts] == list(range(1, 11))
        assert transactions(*keys) == 1

    def test_counts_a_key_once_that_is_in_it_twice(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        clients = [client_of(ada) for _ in range(3)]

        sending = [start(client.post, address(tally), {"key": "k"}) for client in clients]
        wait_until_gathered(accepting._inbox, 3)
        pause.end()

        responses = [each.result() for each in sending]
        assert sorted(response.status_code for response in responses) == [200, 200, 202]
        assert len({response.json()["id"] for response in responses}) == 1

    def test_refuses_only_what_is_wrong(
        self, ada: User, bob: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        kay, gone = (User.objects.create(username=name) for name in ("kay", "gone"))
        private = counter.open_counter(owner_id=bob.id, name="private")
        public = counter.open_counter(owner_id=bob.id, name="public")
        Counter.objects.filter(id=public).update(visibility="public")
        deleted = counter.open_counter(owner_id=ada.id, name="deleted")
        delete_counter(counter_id=deleted, viewer=Viewer(ada.id))
        entombed = counter.open_counter(owner_id=gone.id, name="entombed")
        COUNTERS.entomb(gone.id)
        being_deleted = counter.open_counter(owner_id=kay.id, name="being deleted")
        deletion = Pause()
        start(self.entomb_and_pause, kay, deletion)
        deletion.wait_until_reached()

        requests: list[tuple[User, UUID, dict[str, Any], int]] = [
            (ada, tally, {"key": "before"}, 202),
            (ada, new_id(), {}, 404),
            (ada, private, {}, 404),
            (ada, public, {}, 403),
            (ada, deleted, {}, 404),
            (gone, entombed, {}, 404),
            (kay, being_deleted, {}, 409),
            (bob, public, {"key": "k", "amount": 5}, 202),
            (ada, tally, {"key": "behind"}, 202),
        ]
        sending = [
            start(client_of(user).post, address(counter_id), body)
            for user, counter_id, body, _ in requests
        ]
        wait_until_gathered(accepting._inbox, len(requests))
        pause.end()

        statuses = [each.result().status_code for each in sending]
        assert statuses == [status for *_, status in requests]
        assert transactions("before", "k", "behind") == 1
        assert Increment.objects.count() == 4  # with the one that they gathered behind
        deletion.end()

    def test_refuses_a_key_with_another_amount_alone(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        clients = [client_of(ada) for _ in range(4)]
        bodies = [{"key": "k", "amount": 1}, {"key": "k", "amount": 2}, {"key": "l"}, {"key": "m"}]

        sending = []
        for number, (client, body) in enumerate(zip(clients, bodies, strict=True), start=1):
            sending.append(start(client.post, address(tally), body))
            wait_until_gathered(accepting._inbox, number)
        pause.end()

        assert [each.result().status_code for each in sending] == [202, 422, 202, 202]
        assert transactions("k", "l", "m") == 1

    def test_does_not_wait_for_a_key_that_another_transaction_has_in_hand(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        """Only who sent that key does."""
        frozen = Pause()
        start(self.accept_another_way_and_pause, ada, tally, frozen)
        frozen.wait_until_reached()
        sending = {
            key: start(client_of(ada).post, address(tally), {"key": key}) for key in ("k", "l", "m")
        }
        wait_until_gathered(accepting._inbox, 3)
        pause.end()

        statuses = [sending[key].result().status_code for key in ("l", "m")]
        waited = not sending["k"].done()
        frozen.end()

        assert (statuses, waited) == ([202, 202], True)
        assert sending["k"].result().status_code == 200

    def test_is_accepted_without_its_leader_where_that_dies(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        def accept_and_die() -> None:
            with dying_at(1):
                counter.increment(counter_id=tally, owner_id=ada.id, key="leader")

        leader = start(accept_and_die)
        wait_until_gathered(accepting._inbox, 1)
        keys = ["k", "l"]
        followers = [
            start(counter.increment, counter_id=tally, owner_id=ada.id, key=key) for key in keys
        ]
        wait_until_gathered(accepting._inbox, 3)
        pause.end()

        assert isinstance(leader.exception(), Died)
        join(followers)
        accepted = Increment.objects.filter(counter=tally).values_list("key", flat=True)
        assert sorted(accepted) == keys

    def test_is_accepted_though_its_session_is_lost(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        """By each alone, on a session of its own."""

        def send_and_pause(client: APIClient) -> int:
            with paused_after(ACCEPTING, in_flight):
                return int(client.post(address(tally), {"key": "k"}).status_code)

        in_flight = Pause()
        leader = start(send_and_pause, client_of(ada))
        wait_until_gathered(accepting._inbox, 1)
        followers = [start(client_of(ada).post, address(tally), {"key": key}) for key in "lm"]
        wait_until_gathered(accepting._inbox, 3)
        pause.end()
        in_flight.wait_until_reached()
        terminate_other_sessions()
        in_flight.end()

        assert leader.result() == 202
        assert [each.result().status_code for each in followers] == [202, 202]

    def accept_another_way_and_pause(self, owner: User, counter_id: UUID, pause: Pause) -> None:
        """Stops before it commits."""
        with paused_after(ACCEPTING, pause):
            accept_increments(counter_id=counter_id, viewer=Viewer(owner.id), increments=[(1, "k")])

    def entomb_and_pause(self, owner: User, pause: Pause) -> None:
        """Stops before it commits."""
        with paused_after('UPDATE "counter_owner"', pause):
            COUNTERS.entomb(owner.id)


class TestLostDatabase:
    """The server ends every session, as it does when it is restarted."""

    def test_fails_who_was_written_alone_and_not_the_next(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def send(client: APIClient, key: str) -> int:
            with paused_after(ACCEPTING, pause):
                return int(client.post(address(tally), {"key": key}).status_code)

        pause = Pause()
        in_flight = start(send, client_of(ada), "in-flight")
        pause.wait_until_reached()
        keys = ["k", "l", "m"]
        next_ones = [start(client_of(ada).post, address(tally), {"key": key}) for key in keys]
        wait_until_gathered(accepting._inbox, 3)
        terminate_other_sessions()
        pause.end()

        assert in_flight.result() == 503
        assert [each.result().status_code for each in next_ones] == [202, 202, 202]
        assert sorted(Increment.objects.values_list("key", flat=True)) == keys

    def test_costs_each_client_one_answer_at_most(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        over = threading.Event()
        answers: list[list[int]] = [[] for _ in range(6)]
        clients = [client_of(ada) for _ in answers]

        def send(number: int) -> None:
            for each in itertools.count():
                if over.is_set():
                    return
                close_old_connections()  # as the web server does before each request
                response = clients[number].post(address(tally), {"key": f"{number}-{each}"})
                answers[number].append(response.status_code)

        senders = [start(send, number) for number in range(len(answers))]
        try:
            for _ in range(5):
                self.wait_for_more(answers)
                terminate_other_sessions()
                self.wait_for_more(answers)
        finally:
            over.set()
        for sender in senders:
            sender.result()

        for given in answers:
            assert set(given) <= {202, 503}
            assert (503, 503) not in itertools.pairwise(given)
        self.send_again(clients[0], tally, answers)

    def send_again(self, client: APIClient, tally: UUID, answers: list[list[int]]) -> None:
        """Whatever was answered, a retry tells, and each counts once."""
        for number, given in enumerate(answers):
            for each, status in enumerate(given):
                again = client.post(address(tally), {"key": f"{number}-{each}"})
                assert again.status_code in ({200} if status == 202 else {200, 202})
        counter.apply_pending_increments()

        assert Counter.objects.get().value == sum(len(given) for given in answers)
        assert faults_of(tally) == []

    def wait_for_more(self, answers: list[list[int]]) -> None:
        before = [given.count(202) for given in answers]
        wait_for(
            "further increments of each client",
            lambda: all(
                given.count(202) > known + 3 for given, known in zip(answers, before, strict=True)
            ),
        )


@pytest.mark.django_db(databases=["default", "counter"], transaction=False)
class TestInsideATest:
    def test_one_alone_works_in_the_transaction_of_a_test(
        self, api: APIClient, tally: UUID
    ) -> None:
        assert api.post(address(tally)).status_code == 202
        assert connections["counter"].in_atomic_block
