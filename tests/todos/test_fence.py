"""The fence: a todo is there before its owner's tombstone and deleted with the rest, or refused."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

import pytest

from apps.todos.models import Todo
from apps.todos.operations import create_todo
from apps.todos.owners import TODOS as HOLDINGS
from apps.users.models import User
from kit.holdings import Holdings, OwnerIsGone
from kit.transactions import durable
from tests.factories import UserFactory
from tests.polling import wait_for
from tests.racing import race, wait_until_blocked
from tests.todos.conftest import TODOS, address_of, signed_in

BOTH = ["default", "todos"]
ROUNDS = 40
SECONDS = 20

Admitted = Callable[[Holdings, UUID], AbstractContextManager[None]]


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
        creation = Held(monkeypatch, Holdings.admitted)

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
        creation = Held(monkeypatch, admitted_without_a_lock)

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
def admitted_without_a_lock(holdings: Holdings, owner_id: UUID) -> Iterator[None]:
    """The fence without its share lock."""
    with durable(holdings.alias):
        if holdings.owners._default_manager.get(id=owner_id).tombstoned_at:
            raise OwnerIsGone
        yield


class Held:
    """A creation held at its narrowest: admitted, and nothing inserted yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, admitted: Admitted) -> None:
        self._admitted, self._released = threading.Event(), threading.Event()

        @contextmanager
        def admitted_and_held(holdings: Holdings, owner_id: UUID) -> Iterator[None]:
            with admitted(holdings, owner_id):
                self._admitted.set()
                assert self._released.wait(SECONDS), "nobody let the creation go on"
                yield

        monkeypatch.setattr(Holdings, "admitted", admitted_and_held)

    def wait_until_admitted(self) -> None:
        assert self._admitted.wait(SECONDS), "the creation was never admitted"

    def release(self) -> None:
        self._released.set()
