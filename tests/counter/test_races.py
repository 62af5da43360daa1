"""Increments at the same time as each other and as their owner's deletion."""

import random
from contextlib import nullcontext
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from apps.counter import public as counter
from apps.counter.accepting import Receipt, accept_increment
from apps.counter.errors import CounterNotFound
from apps.counter.models import Counter, Increment, Owner, Pending
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.directory import Viewer
from kit.holdings import OwnerIsGone
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import (
    ACCEPTING,
    Pause,
    held_up,
    paused_after,
    rewritten,
    waiting_within,
)
from tests.counter.ledger import faults_of
from tests.racing import race, wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

FENCE = "FOR KEY SHARE OF counter, owner SKIP LOCKED"


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


class TestFence:
    """An increment, or a counter, that comes while its owner is being deleted."""

    def test_makes_the_tombstone_wait_for_what_is_being_accepted(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(accept, ada, tally, pause)
        pause.wait_until_reached()
        entombing = start(COUNTERS.entomb, ada.id)
        wait_until_blocked(1, using="counter")
        pause.end()

        accepting.result()
        entombing.result()
        assert COUNTERS.count(ada.id) == 2  # the counter and its increment: none is left out
        with pytest.raises(OwnerIsGone):
            counter.open_counter(owner_id=ada.id, name="late")
        with pytest.raises(CounterNotFound):
            accept(ada, tally)
        purge(ada)
        assert COUNTERS.count(ada.id) == 0

    def test_counts_what_the_consumer_moves_meanwhile_once(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def count() -> dict[UUID, int]:
            with paused_after("JOIN counter_pending", pause):
                return COUNTERS.rows_left([ada.id])

        accept(ada, tally)
        pause = Pause()
        counting = start(count)
        pause.wait_until_reached()
        counter.apply_pending_increments()
        pause.end()

        assert counting.result() == {ada.id: 2}  # the counter and its increment

    def test_lets_the_owner_be_renamed_meanwhile(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        accepting = start(accept, ada, tally, pause)
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
        accepting = start(accept, ada, tally, pause, fence="")
        pause.wait_until_reached()
        COUNTERS.entomb(ada.id)
        said = COUNTERS.count(ada.id)
        pause.end()
        accepting.result()

        assert said < COUNTERS.count(ada.id) == 2

    @pytest.mark.parametrize(("fence", "is_kept_out"), [(FENCE, True), ("", False)])
    def test_sees_the_tombstone_that_came_after_it_began_to_look(
        self, ada: User, tally: UUID, start: Start, fence: str, is_kept_out: bool
    ) -> None:
        def accept_slowly() -> Receipt:
            with waiting_within("owner.tombstoned_at IS NULL"):
                return accept(ada, tally, fence=fence)

        with held_up():
            accepting = start(accept_slowly)
            wait_until_blocked(1, using="counter")
            COUNTERS.entomb(ada.id)

        assert isinstance(accepting.exception(), CounterNotFound) is is_kept_out
        assert Pending.objects.exists() is not is_kept_out

    def test_refuses_at_once_while_the_tombstone_is_being_set(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def entomb() -> None:
            with paused_after('UPDATE "counter_owner"', pause):
                COUNTERS.entomb(ada.id)

        pause = Pause()
        entombing = start(entomb)
        pause.wait_until_reached()

        with pytest.raises(OwnerIsGone):
            accept(ada, tally)

        waiting = start(accept, ada, tally, fence="FOR KEY SHARE OF counter, owner")
        wait_until_blocked(1, using="counter")  # as it would without SKIP LOCKED
        pause.end()
        entombing.result()
        assert isinstance(waiting.exception(), CounterNotFound)

    def test_is_what_keeps_a_counter_from_outliving_its_owner(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def create() -> None:
            pausing = paused_after('INSERT INTO "counter_counter"', pause)
            with rewritten("FOR KEY SHARE", ""), pausing:
                counter.open_counter(owner_id=ada.id, name="late")

        pause = Pause()
        creating = start(create)
        pause.wait_until_reached()
        COUNTERS.entomb(ada.id)
        purge(ada)
        pause.end()

        assert isinstance(creating.exception(), CounterNotFound)  # it is not to be seen, but
        assert COUNTERS.count(ada.id) == 1


def accept(
    owner: User, counter_id: UUID, pause: Pause | None = None, *, fence: str = FENCE
) -> Receipt:
    """Accept an increment, in this thread; stop at `pause` before it is committed."""
    with rewritten(FENCE, fence), paused_after(ACCEPTING, pause) if pause else nullcontext():
        return accept_increment(counter_id=counter_id, viewer=Viewer(owner.id))


def purge(owner: User) -> None:
    while not COUNTERS.purge_chunk(owner.id).finished:
        pass
