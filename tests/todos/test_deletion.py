"""A user's deletion takes all of it at once: todos, their history, the trash and the keys."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from apps.todos.models import Change, Owner, Todo
from apps.todos.operations.writing import change_todo, create_todo
from apps.todos.owners import TODOS as HOLDINGS
from apps.users.models import User
from kit.directory import Viewer
from kit.errors import Refusal
from tests.cascade.deleting import work_until_done
from tests.factories import UserFactory
from tests.people import EVERYWHERE
from tests.racing import race
from tests.todos.conftest import TODOS, Client, address_of, signed_in
from tests.todos.test_fence import purge

BOTH = ["default", "todos"]


def settle(client: Client) -> int:
    """Two todos with two changes each, one of them in the trash, one with a key. How many rows."""
    first = client.post(TODOS, {"title": "1"}, headers={"Idempotency-Key": "monday"}).json()
    second = client.add("2")
    client.patch(address_of(first), {"title": "3"})
    client.patch(address_of(first), {"title": "4"})
    client.patch(address_of(second), {"title": "5"})
    client.delete(address_of(second))
    return 6


def delete_account(user: User) -> dict[str, Any]:
    client = signed_in(user)
    deletion = client.delete(f"/api/users/{user.id}/").json()
    work_until_done()
    told: dict[str, Any] = client.get(f"/api/deletions/{deletion['id']}/").json()
    return told


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestDeletion:
    def test_takes_history_trash_and_keys_and_counts_them(self) -> None:
        leaver, stayer = UserFactory.create(), UserFactory.create()
        rows, _ = settle(signed_in(leaver)), settle(signed_in(stayer))

        told = delete_account(leaver)

        assert told["state"] == "done"
        assert told["certificate"]["deleted"] == {"todos": rows, "counter": 0}
        assert told["certificate"]["orphans"] == 0
        assert not Todo.objects.filter(owner=leaver.id).exists()
        assert not Change.objects.filter(owner=leaver.id).exists()
        assert HOLDINGS.count(stayer.id) == rows

    @pytest.mark.usefixtures("small_chunks")
    def test_goes_chunk_by_chunk(self) -> None:
        leaver = UserFactory.create()
        rows = settle(signed_in(leaver)) + settle_more(leaver)

        told = delete_account(leaver)

        (step,) = [step for step in told["steps"] if step["app"] == "todos"]
        assert (step["deleted"], step["total"]) == (rows, rows)
        assert HOLDINGS.count(leaver.id) == 0


def settle_more(user: User) -> int:
    todo = signed_in(user).add()
    for number in range(7):
        signed_in(user).patch(address_of(todo), {"title": f"{number}"})
    return 8


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestFence:
    def test_lets_no_change_through_behind_the_tombstone(self) -> None:
        changed_in_all = 0
        for number in range(15):
            user = UserFactory.create()
            todo = create_todo(owner_id=user.id, title="first")

            def change_until_refused(user: User = user, todo: Todo = todo) -> int:
                changed = 0
                try:
                    while True:
                        change_todo(todo_id=todo.id, viewer=Viewer(user.id), title=f"{changed}")
                        changed += 1
                except Refusal:
                    return changed

            def purge_soon(user: User = user, number: int = number) -> int:
                while Change.objects.filter(owner=user.id).count() < number % 4:
                    pass
                return purge(user.id)

            *changed, purged = race(*[change_until_refused] * 3, purge_soon)

            assert HOLDINGS.count(user.id) == 0
            assert sum(changed) + 1 == purged
            changed_in_all += sum(changed)
        assert changed_in_all > 15, "the race was never on"


@pytest.mark.django_db(databases=BOTH)
class TestCost:
    def test_of_todos_that_never_changed_is_that_of_their_rows(self) -> None:
        """So history adds one look into an index, however many they are."""
        user = UserFactory.create()
        for number in range(20):
            create_todo(owner_id=user.id, title=f"{number}")

        assert HOLDINGS.count(user.id) == 20
        assert purge(user.id) == 20

    def test_is_not_paid_to_a_trigger_for_each_todo(self) -> None:
        """A foreign key that the database checks would look for changes of each todo that goes."""
        with connections["todos"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'todos_todo'::regclass "
                "AND tgtype::int & 8 > 0"  # on DELETE
            )
            assert cursor.fetchone() == (0,)

    def test_of_deleting_an_owner_leaves_the_tombstone_only(self) -> None:
        user = UserFactory.create()
        settle(signed_in(user))

        purge(user.id)

        owner = Owner.objects.get(id=user.id)
        assert (owner.purged_rows, owner.username) == (6, "")
        assert HOLDINGS.rows_left([UUID(str(user.id))]) == {user.id: 0}
