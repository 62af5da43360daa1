"""Whose todo it is: the owner's row, fetched at first use and kept current by the feed."""

from typing import Any

import pytest

from apps.todos.models import Owner
from apps.todos.owners import TODOS as HOLDINGS
from apps.users.models import User
from apps.users.operations.accounts import change_user
from kit.directory import Viewer
from tests.factories import UserFactory
from tests.racing import race
from tests.todos.conftest import TODOS, address_of, signed_in

BOTH = ["default", "todos"]


def rename(user: User, username: str) -> None:
    change_user(user_id=user.id, viewer=Viewer(user.id), username=username)


def follow() -> None:
    while HOLDINGS.follow():
        pass


@pytest.mark.django_db(databases=BOTH)
class TestRename:
    def test_shows_on_every_todo_once_the_feed_was_followed(self) -> None:
        user = UserFactory.create(username="ada")
        ada = signed_in(user)
        todo = ada.add()
        rename(user, "Countess")

        follow()

        assert ada.get(address_of(todo)).json()["owner"]["username"] == "Countess"
        assert ada.list(username="countess") == [todo["title"]]
        assert ada.list(username="ada") == []

    def test_is_a_change_to_whoever_read_the_old_name(self) -> None:
        user = UserFactory.create(username="ada")
        ada = signed_in(user)
        todo = ada.add()
        tag = ada.tag_of(todo)
        rename(user, "Countess")

        follow()

        response = ada.get(address_of(todo), headers={"If-None-Match": tag})
        assert response.status_code == 200
        assert response.json()["version"] == 1

    def test_does_not_stand_in_the_way_of_a_write(self) -> None:
        user = UserFactory.create(username="ada")
        ada = signed_in(user)
        todo = ada.add()
        tag = ada.tag_of(todo)
        rename(user, "Countess")
        follow()

        response = ada.patch(address_of(todo), {"title": "Rest"}, headers={"If-Match": tag})

        assert response.status_code == 200


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestFirstUse:
    def test_makes_one_owner_of_many_first_todos_at_once(self) -> None:
        user = UserFactory.create(username="ada")

        def add() -> int:
            return signed_in(user).post(TODOS, {"title": "First"}).status_code

        answers = race(*[add] * 8)

        assert answers == [201] * 8
        assert signed_in(user).list() == ["First"] * 8
        assert Owner.objects.get().username == "ada"

    def test_may_meet_the_feed(self) -> None:
        for number in range(20):
            user = UserFactory.create(username=f"ada{number}")

            def add(user: User = user) -> Any:
                return signed_in(user).post(TODOS, {"title": "First"}).status_code

            added, followed = race(add, follow)

            assert (added, followed) == (201, None)
            assert Owner.objects.get(id=user.id).username == user.username
