"""Increments at the same time as each other and as a deletion, and what holds them apart."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import public as counter
from apps.counter.errors import CounterNotFound
from apps.counter.models import Counter, Increment, Owner
from apps.counter.operations import accept_increment
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.directory import Viewer
from kit.holdings import OwnerIsGone
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import Pause, paused_after, rewritten
from tests.counter.ledger import faults_of
from tests.racing import race, wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

FENCE = "FOR KEY SHARE"
ACCEPTING = 'INSERT INTO "counter_increment"'


class TestManyAtOnce:
    def test_counts_each_key_once_and_gives_each_its_own_result(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        """500 increments from 20 threads, every second one sent twice, the consumer at work."""
        clients = [client_of(ada) for _ in range(20)]
        keys = [f"key-{number}" for number in range(500)]
        sent = keys + keys[::2]
        random.shuffle(sent)

        def send(number: int) -> list[tuple[int, dict[str, Any]]]:
            address = f"/api/counters/{tally}/increments/"
            responses = [clients[number].post(address, {"key": key}) for key in sent[number::20]]
            return [(response.status_code, response.json()) for response in responses]

        senders = [start(send, number) for number in range(20)]
        while not all(sender.done() for sender in senders):
            counter.apply_pending_increments()
        counter.apply_pending_increments()
        answers = [answer for sender in senders for answer in sender.result()]

        statuses = [status for status, _ in answers]
        assert (statuses.count(202), statuses.count(200)) == (500, 250)
        ids_of = {key: {r["id"] for _, r in answers if r["key"] == key} for key in keys}
        assert all(len(ids) == 1 for ids in ids_of.values())
        results = Increment.objects.order_by("result").values_list("result", flat=True)
        assert list(results) == list(range(1, 501))
        assert Counter.objects.get().value == 500
        assert faults_of(tally) == []

    def test_lets_one_of_several_with_the_same_name_win(self, ada: User) -> None:
        clients = [client_of(ada) for _ in range(5)]

        responses = race(*(partial(c.post, "/api/counters/", {"name": "cups"}) for c in clients))

        assert sorted(response.status_code for response in responses) == [201, 400, 400, 400, 400]


class TestUniqueKey:
    """The same key twice at the same moment."""

    def test_lets_the_second_wait_and_gives_it_the_first_receipt(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        first = start(self.accept, ada, tally, pause)
        pause.wait_until_reached()
        second = start(accept_increment, counter_id=tally, viewer=Viewer(ada.id), key="k")
        wait_until_blocked(1, using="counter")
        pause.end()

        (receipt, is_new), (again, again_is_new) = first.result(), second.result()

        assert (is_new, again_is_new) == (True, False)
        assert again.id == receipt.id

    def test_is_what_keeps_a_retry_from_counting_twice(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        with without_constraint("counter_key_once"):
            pause = Pause()
            first = start(self.accept, ada, tally, pause)
            pause.wait_until_reached()
            start(accept_increment, counter_id=tally, viewer=Viewer(ada.id), key="k").result()
            pause.end()
            first.result()
            counter.apply_pending_increments()

            assert Counter.objects.get().value == 2
            assert faults_of(tally) == ["key k was counted twice"]
            Increment.objects.all().delete()

    def accept(self, owner: User, counter_id: UUID, pause: Pause) -> Any:
        """Stops before it commits."""
        with paused_after('SELECT "counter_increment"', pause):
            return accept_increment(counter_id=counter_id, viewer=Viewer(owner.id), key="k")


class TestFence:
    """An increment, or a counter, that comes while its owner is being deleted."""

    def test_makes_the_tombstone_wait_for_what_is_being_accepted(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.accept, ada, tally, FENCE, pause)
        pause.wait_until_reached()
        entombing = start(COUNTERS.entomb, ada.id)
        wait_until_blocked(1, using="counter")
        pause.end()

        accepting.result()
        assert entombing.result() == 2  # the counter and its increment: none is left out
        with pytest.raises(OwnerIsGone):
            counter.open_counter(owner_id=ada.id, name="late")
        with pytest.raises(CounterNotFound):
            counter.increment(counter_id=tally, owner_id=ada.id)
        self.purge(ada)
        assert COUNTERS.count(ada.id) == 0

    def test_lets_the_owner_be_renamed_meanwhile(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.accept, ada, tally, FENCE, pause)
        pause.wait_until_reached()
        User.objects.filter(id=ada.id).update(username="countess")

        COUNTERS.follow()

        assert Owner.objects.get().username == "countess"
        pause.end()
        accepting.result()

    def test_is_what_keeps_increments_from_coming_after_the_tombstone(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(self.accept, ada, tally, "", pause)
        pause.wait_until_reached()
        said = COUNTERS.entomb(ada.id)
        pause.end()
        accepting.result()

        assert said < COUNTERS.count(ada.id) == 2

    def test_is_what_keeps_a_counter_from_outliving_its_owner(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def create() -> None:
            with rewritten(FENCE, ""), paused_after('INSERT INTO "counter_counter"', pause):
                counter.open_counter(owner_id=ada.id, name="late")

        pause = Pause()
        creating = start(create)
        pause.wait_until_reached()
        COUNTERS.entomb(ada.id)
        self.purge(ada)
        pause.end()

        assert isinstance(creating.exception(), CounterNotFound)  # it is not to be seen, but
        assert COUNTERS.count(ada.id) == 1

    def accept(self, owner: User, counter_id: UUID, fence: str, pause: Pause) -> None:
        """Stops before it commits."""
        with rewritten(FENCE, fence), paused_after(ACCEPTING, pause):
            counter.increment(counter_id=counter_id, owner_id=owner.id)

    def purge(self, owner: User) -> None:
        while not COUNTERS.purge_chunk(owner.id).finished:
            pass


@contextmanager
def without_constraint(name: str) -> Iterator[None]:
    constraint = next(each for each in Increment._meta.constraints if each.name == name)
    with connections["counter"].schema_editor() as editor:
        editor.remove_constraint(Increment, constraint)
    try:
        yield
    finally:
        with connections["counter"].schema_editor() as editor:
            editor.add_constraint(Increment, constraint)
