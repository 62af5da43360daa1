"""Whoever locks several owners does so in the order of their ids: nobody waits in a circle."""

from typing import Any
from uuid import UUID

import pytest

from apps.todos.models import Owner
from apps.todos.owners import TODOS
from apps.users import public as users
from kit.directory import Person
from kit.ids import new_id
from kit.transactions import durable
from tests.conftest import Start
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "todos"], transaction=True)


@pytest.fixture
def pair() -> tuple[UUID, UUID]:
    lower, higher = sorted([new_id(), new_id()])
    return lower, higher


class TestLocks:
    def test_of_names_are_taken_in_the_order_of_ids(
        self, pair: tuple[UUID, UUID], start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lower, higher = pair

        def find_the_higher_first(ids: Any) -> dict[UUID, Person]:
            return {each: Person(each, "renamed", closing=False) for each in (higher, lower)}

        monkeypatch.setattr(users, "find_people", find_the_higher_first)
        Owner.objects.bulk_create(Owner(id=each, username="before") for each in pair)

        with durable("todos"):
            Owner.objects.select_for_update().get(id=lower)
            renaming = start(TODOS.rename, set(pair), start=0, end=1)
            wait_until_blocked(1, using="todos")
            Owner.objects.select_for_update(nowait=True).get(id=higher)
        renaming.result()

        assert set(Owner.objects.values_list("username", flat=True)) == {"renamed"}

    def test_of_newcomers_are_taken_in_the_order_of_ids(
        self, pair: tuple[UUID, UUID], start: Start
    ) -> None:
        lower, higher = pair

        with durable("todos"):
            Owner.objects.create(id=lower)
            entombing = start(TODOS.entomb, higher, lower)
            wait_until_blocked(1, using="todos")
            Owner.objects.create(id=higher)  # would wait in a circle, if that were there already

        assert entombing.result() == dict.fromkeys(pair, 0)
