"""A key is held for its increment as long as that lies anywhere, and no longer."""

from collections.abc import Callable
from uuid import UUID

import pytest

from apps.counter import public as counter
from apps.counter.models import Counter, Increment, Key
from apps.counter.operations import delete_counter, purge_deleted_counters
from apps.counter.owners import COUNTERS
from apps.users.models import User
from kit.directory import Viewer
from kit.ids import new_id
from tests.counter.ledger import faults_of
from tests.people import Citizen, settle

pytestmark = pytest.mark.django_db(databases=["default", "counter", "todos"], transaction=True)


@pytest.fixture
def stayer() -> Citizen:
    """Somebody else, all of whose increments are settled."""
    return settle("stayer")


@pytest.fixture(autouse=True)
def increments(ada: User, tally: UUID, stayer: Citizen) -> None:
    """Of Ada's counter, of which three are settled, and two are not."""
    for number in range(5):
        counter.increment(counter_id=tally, owner_id=ada.id, key=f"key-{number}")
        if number == 2:
            counter.apply_pending_increments()


def held() -> set[UUID]:
    return set(Key.objects.values_list("increment_id", flat=True))


def test_is_held_from_acceptance_on(tally: UUID) -> None:
    assert held() == set(Increment.objects.values_list("id", flat=True))
    assert faults_of(tally) == []


def by_chunks(owner_id: UUID) -> None:
    COUNTERS.entomb(owner_id)
    while not COUNTERS.purge_chunk(owner_id, rows=2).finished:
        pass


def with_others(owner_id: UUID) -> None:
    COUNTERS.entomb(owner_id, stranger := new_id())
    while not COUNTERS.purge_chunk(owner_id, stranger).finished:
        pass


def with_others_who_have_much(owner_id: UUID) -> None:
    COUNTERS.entomb(owner_id, stranger := new_id())
    while not COUNTERS.purge_chunk(owner_id, stranger, rows=10_000).finished:
        pass


def counter_by_counter(owner_id: UUID) -> None:
    for each in Counter.objects.filter(owner=owner_id):
        delete_counter(counter_id=each.id, viewer=Viewer(owner_id))
    while purge_deleted_counters():
        pass


@pytest.mark.parametrize(
    "purge", [by_chunks, with_others, with_others_who_have_much, counter_by_counter]
)
def test_goes_with_its_increment_and_no_other_goes(
    ada: User, stayer: Citizen, purge: Callable[[UUID], None]
) -> None:
    counter.increment(counter_id=stayer.counter_id, owner_id=stayer.id)
    counter.increment(counter_id=stayer.counter_id, owner_id=stayer.id, key="late")

    purge(ada.id)

    left = Increment.objects.values_list("id", "counter")
    assert {counter_id for _, counter_id in left} == {stayer.counter_id}
    assert held() == {id for id, _ in left}
    assert len(left) == 7
