"""The fence: a counter is there before its owner's tombstone, or it is refused."""

import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from apps.counter.models import Counter
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.holdings import OwnerIsGone
from tests.counter.interleaving import rewritten
from tests.racing import race, wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)


def open_counter(owner_id: UUID, once_admitted: Callable[[], object]) -> None:
    with COUNTERS.admitted(owner_id):
        once_admitted()
        Counter.objects.create(owner_id=owner_id, name="tally")


def purge(owner_id: UUID) -> int:
    """Entomb the owner and delete what he has; how many rows that were."""
    COUNTERS.entomb(owner_id)
    while not COUNTERS.purge_chunk(owner_id).finished:
        pass
    return COUNTERS.owners._default_manager.get(id=owner_id).purged_rows


class TestFence:
    def test_refuses_whoever_comes_behind_the_tombstone(self, ada: User) -> None:
        purge(ada.id)

        with pytest.raises(OwnerIsGone):
            open_counter(ada.id, once_admitted=lambda: None)

    def test_makes_the_tombstone_wait_for_a_counter_that_is_being_opened(self, ada: User) -> None:
        admitted = threading.Event()

        def wait_for_the_tombstone() -> None:
            admitted.set()
            wait_until_blocked(1, using="counter")

        def purge_meanwhile() -> int:
            admitted.wait(timeout=20)
            return purge(ada.id)

        _, purged = race(lambda: open_counter(ada.id, wait_for_the_tombstone), purge_meanwhile)

        assert (purged, COUNTERS.count(ada.id)) == (1, 0)

    def test_taken_out_lets_an_orphan_through(self, ada: User) -> None:
        def open_without_it() -> int:
            purged = []
            with rewritten(" FOR KEY SHARE", ""):
                open_counter(ada.id, lambda: purged.extend(race(lambda: purge(ada.id))))
            return purged[0]

        (purged,) = race(open_without_it)

        assert (purged, COUNTERS.count(ada.id)) == (0, 1)
