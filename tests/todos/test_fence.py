"""The fence: a todo is there before its owner's tombstone and deleted with the rest, or refused."""

from uuid import UUID

import pytest

from apps.todos.models import Todo
from apps.todos.operations import writing
from apps.todos.operations.writing import create_todo
from apps.todos.owners import TAKE_POSITIONS
from apps.todos.owners import TODOS as HOLDINGS
from apps.users.models import User
from kit.holdings import OwnerIsGone
from tests.factories import UserFactory
from tests.polling import wait_for
from tests.racing import race, wait_until_blocked
from tests.todos.conftest import TODOS, address_of, signed_in
from tests.todos.holding import HELD, creations_held

BOTH = ["default", "todos"]
ROUNDS = 40


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

    def test_makes_the_tombstone_wait_for_a_todo_under_way(self) -> None:
        user = UserFactory.create()
        signed_in(user).add("before")

        with creations_held() as release:

            def purge_meanwhile() -> int:
                wait_until_blocked(1, using="todos")
                return purge(user.id)

            def release_when_the_purge_waits() -> None:
                wait_until_blocked(2, using="todos")
                release()

            todo, purged, _ = race(
                lambda: create_todo(owner_id=user.id, title=HELD),
                purge_meanwhile,
                release_when_the_purge_waits,
            )

        assert todo.title == HELD
        assert purged == 2
        assert HOLDINGS.count(user.id) == 0

    def test_taken_out_lets_an_orphan_through(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user = UserFactory.create()
        signed_in(user).add("In time")
        monkeypatch.setattr(writing, "CREATE", writing.CREATE.replace(TAKE_POSITIONS, NO_LOCK))

        with creations_held() as release:

            def purge_meanwhile() -> int:
                wait_until_blocked(1, using="todos")
                purged = purge(user.id)
                release()
                return purged

            todo, purged = race(lambda: create_todo(owner_id=user.id, title=HELD), purge_meanwhile)

        assert purged == 1
        assert list(Todo.objects.filter(owner=user.id)) == [todo]


NO_LOCK = """
SELECT username, position + %(changes)s AS position FROM todos_owner
WHERE id = %(owner_id)s AND tombstoned_at IS NULL
"""
