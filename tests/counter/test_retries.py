"""The same key again, at any moment: whoever sends it gets the first receipt."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import public as counter
from apps.counter.accepting import Receipt, accept_increment, accept_increments
from apps.counter.models import Counter, Increment, Key, Pending
from apps.users.models import User
from kit.directory import Viewer
from tests.conftest import Start
from tests.counter.interleaving import ACCEPTING, Died, LastPause, Pause, paused_after, rewritten
from tests.counter.ledger import faults_of
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

UNLESS_KNOWN = "ON CONFLICT (digest) DO NOTHING"


class TestUniqueKey:
    """The same key twice at the same moment."""

    def test_lets_the_second_wait_and_gives_it_the_first_receipt(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = Pause()
        first = start(accept, ada, tally, pause)
        pause.wait_until_reached()
        second = start(accept_apart, ada, tally)
        wait_until_blocked(1, using="counter")
        pause.end()

        receipt, again = first.result(), second.result()

        assert (receipt.is_new, again.is_new) == (True, False)
        assert again.id == receipt.id

    def test_lets_the_second_in_if_the_first_dies(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        pause = LastPause()
        first = start(accept, ada, tally, pause)
        pause.wait_until_reached()
        second = start(accept_apart, ada, tally)
        wait_until_blocked(1, using="counter")
        pause.end()

        assert isinstance(first.exception(), Died)
        assert second.result().is_new
        assert Increment.objects.get().id == second.result().id

    def test_is_what_keeps_a_retry_from_counting_twice(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        with keys_not_unique():
            first, second = self.meet(ada, tally, start)
            counter.apply_pending_increments()

        assert (first.is_new, second.is_new) == (True, True)
        assert Counter.objects.get().value == 2
        assert faults_of(tally) == ["key k was counted twice"]

    def meet(self, ada: User, tally: UUID, start: Start) -> tuple[Receipt, Receipt]:
        pause = Pause()
        first = start(accept, ada, tally, pause, unless_known="")
        pause.wait_until_reached()
        second = start(accept_apart, ada, tally, unless_known="")
        second.exception()  # wait for it: nothing holds it up
        pause.end()
        return first.result(), second.result()


class TestRetryOfWhatIsBeingSettled:
    """The same key again, while the consumer moves its increment from the inbox to the ledger."""

    @pytest.fixture(autouse=True)
    def first(self, ada: User, tally: UUID) -> Receipt:
        return accept(ada, tally)

    def test_gives_the_first_receipt_as_it_stood_and_does_not_wait(
        self, ada: User, tally: UUID, first: Receipt, start: Start
    ) -> None:
        with self.being_settled(start):
            again = accept(ada, tally)

        assert (again.id, again.is_new) == (first.id, False)
        assert again.state == Increment.State.PENDING
        counter.apply_pending_increments()
        assert faults_of(tally) == []
        assert Counter.objects.get().value == 1

    def test_gives_the_first_receipt_if_the_consumer_dies(
        self, ada: User, tally: UUID, first: Receipt, start: Start
    ) -> None:
        with self.being_settled(start, LastPause()):
            pass
        again = accept(ada, tally)

        assert (again.id, again.is_new) == (first.id, False)
        assert again.state == Increment.State.PENDING
        assert Pending.objects.get().id == first.id

    def test_finds_it_where_it_has_gone_meanwhile(
        self, ada: User, tally: UUID, first: Receipt, start: Start
    ) -> None:
        pause = Pause()
        retrying = start(accept, ada, tally, pause)
        pause.wait_until_reached()  # it has met the first in the inbox
        counter.apply_pending_increments()
        pause.end()

        again = retrying.result()

        assert (again.id, again.is_new) == (first.id, False)
        assert (again.state, again.result) == (Increment.State.APPLIED, 1)

    def test_would_count_twice_if_the_key_went_with_it_from_the_inbox(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        with self.being_settled(start):
            Key.objects.all().delete()
            again = accept(ada, tally)
        counter.apply_pending_increments()

        assert again.is_new
        assert Counter.objects.get().value == 2
        assert faults_of(tally) == ["key k was counted twice"]

    @contextmanager
    def being_settled(self, start: Start, pause: Pause | None = None) -> Iterator[None]:
        """The first is taken from the inbox, and that is committed behind the block, or never."""
        pause = pause or Pause()

        def consume() -> None:
            with paused_after("FOR UPDATE SKIP LOCKED", pause):
                counter.apply_pending_increments()

        consumer = start(consume)
        pause.wait_until_reached()
        yield
        pause.end()
        consumer.exception()  # wait for it: dead or alive


def accept(
    owner: User, counter_id: UUID, pause: Pause | None = None, *, unless_known: str = UNLESS_KNOWN
) -> Receipt:
    """Accept an increment with the key `k`, in this thread; stop at `pause` before the commit."""
    pausing = paused_after(ACCEPTING, pause) if pause else nullcontext()
    with rewritten(UNLESS_KNOWN, unless_known), pausing:
        return accept_increment(counter_id=counter_id, viewer=Viewer(owner.id), key="k")


def accept_apart(owner: User, counter_id: UUID, *, unless_known: str = UNLESS_KNOWN) -> Receipt:
    """As another process would: not in one transaction with who else is accepting in this."""
    with rewritten(UNLESS_KNOWN, unless_known):
        [receipt] = accept_increments(
            counter_id=counter_id, viewer=Viewer(owner.id), increments=[(1, "k")]
        )
    return receipt


@contextmanager
def keys_not_unique() -> Iterator[None]:
    """For the time of the block. It leaves keys that are held for the last of their increments."""
    with connections["counter"].cursor() as cursor:
        cursor.execute("ALTER TABLE counter_key DROP CONSTRAINT counter_key_pkey")
        try:
            yield
        finally:
            cursor.execute(
                "DELETE FROM counter_key AS held USING counter_key AS later "
                "WHERE held.digest = later.digest AND held.increment_id < later.increment_id"
            )
            cursor.execute("ALTER TABLE counter_key ADD PRIMARY KEY (digest)")
