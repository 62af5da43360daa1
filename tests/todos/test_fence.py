"""The fence: a todo is there before its owner's tombstone and deleted with the rest, or refused."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from apps.todos.models import Owner, Todo
from apps.todos.operations.writing import create_todo
from apps.todos.owners import TODOS as HOLDINGS
from apps.todos.owners import TodosHoldings, Turn
from apps.users.models import User
from kit.holdings import OwnerIsGone
from kit.transactions import durable
from tests.factories import UserFactory
from tests.polling import wait_for
from tests.racing import race, wait_until_blocked
from tests.todos.conftest import TODOS, address_of, signed_in

BOTH = ["default", "todos"]
ROUNDS = 40
SECONDS = 20

Turns = dict[UUID, Turn]
Changing = Callable[..., AbstractContextManager[Turns]]


def purge(owner_id: UUID) -> int:
    """Entomb the owner and delete what he has; how many rows that were."""
    HOLDINGS.entomb(owner_id)
    while not HOLDINGS.purge_chunk(owner_id, rows=3).finished:
        pass
    return HOLDINGS.owners.objects.get(id=owner_id).purged_rows


@pytest.mark.django_db(databases=BOTH)
class TestEntombed:
    @pytest.mark.parametrize("had_todos", [True, False])
    def test_is_refused_anything_new(self, had_todos: bool) -> None:
        user = UserFactory.create()
        client = signed_in(user)
        if had_todos:
            client.add()
        HOLDINGS.entomb(user.id)

        response = client.post(TODOS, {"title": "Too late"})

        problem = response.json()
        assert response.status_code == problem["status"] == 409
        assert problem["code"] == "owner_is_gone"
        assert HOLDINGS.count(user.id) == int(had_todos)

    def test_is_refused_who_was_never_there(self) -> None:
        response = signed_in(User(username="nobody")).post(TODOS, {"title": "Whose?"})

        assert response.status_code == 409
        assert not Todo.objects.exists()

    def test_has_todos_that_nobody_sees_any_more(self) -> None:
        user, boss = UserFactory.create(), UserFactory.create(is_staff=True)
        todo = signed_in(user).add(visibility="public")
        HOLDINGS.entomb(user.id)

        assert signed_in(boss).list() == []
        assert signed_in(boss).get(address_of(todo)).status_code == 404


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestFence:
    def test_lets_no_orphan_through_however_they_race(self) -> None:
        got_in = 0
        for number in range(ROUNDS):
            user = UserFactory.create()

            def create_until_refused(user: User = user) -> int:
                created = 0
                try:
                    while True:
                        create_todo(owner_id=user.id, title=f"todo {created}")
                        created += 1
                except OwnerIsGone:
                    return created

            def purge_soon(user: User = user, number: int = number) -> int:
                wait_for("a first todo", lambda: HOLDINGS.count(user.id) >= number % 4)
                return purge(user.id)

            *created, purged = race(*[create_until_refused] * 3, purge_soon)

            assert HOLDINGS.count(user.id) == 0
            assert sum(created) == purged
            got_in += purged
        assert got_in > ROUNDS, "the race was never on"

    def test_makes_the_tombstone_wait_for_a_todo_under_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = UserFactory.create()
        creation = Held(monkeypatch, TodosHoldings.changing)

        def purge_meanwhile() -> int:
            creation.wait_until_admitted()
            return purge(user.id)

        def release_when_the_purge_waits() -> None:
            creation.wait_until_admitted()
            wait_until_blocked(1, using="todos")
            creation.release()

        todo, purged, _ = race(
            lambda: create_todo(owner_id=user.id, title="In time"),
            purge_meanwhile,
            release_when_the_purge_waits,
        )

        assert todo.title == "In time"
        assert purged == 1
        assert HOLDINGS.count(user.id) == 0

    def test_taken_out_lets_an_orphan_through(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user = UserFactory.create()
        signed_in(user).add("In time")
        creation = Held(monkeypatch, changing_without_a_lock)

        def purge_meanwhile() -> int:
            creation.wait_until_admitted()
            purged = purge(user.id)
            creation.release()
            return purged

        todo, purged = race(
            lambda: create_todo(owner_id=user.id, title="Too late"), purge_meanwhile
        )

        assert purged == 1
        assert list(Todo.objects.filter(owner=user.id)) == [todo]


@contextmanager
def changing_without_a_lock(
    holdings: TodosHoldings, changes: Mapping[UUID, int], *, key: str | None = None
) -> Iterator[Turns]:
    """The fence without its lock."""
    (owner_id,) = changes
    with durable(holdings.alias):
        owner = Owner.objects.get(id=owner_id)
        if owner.tombstoned_at:
            raise OwnerIsGone
        yield {owner_id: Turn(owner, count(owner.position + 1))}


class Held:
    """A creation held at its narrowest: admitted, and nothing inserted yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, changing: Changing) -> None:
        self._admitted, self._released = threading.Event(), threading.Event()

        @contextmanager
        def changing_and_held(*args: Any, **kwargs: Any) -> Iterator[Turns]:
            with changing(*args, **kwargs) as turns:
                self._admitted.set()
                assert self._released.wait(SECONDS), "nobody let the creation go on"
                yield turns

        monkeypatch.setattr(TodosHoldings, "changing", changing_and_held)

    def wait_until_admitted(self) -> None:
        assert self._admitted.wait(SECONDS), "the creation was never admitted"

    def release(self) -> None:
        self._released.set()
