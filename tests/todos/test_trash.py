"""The trash: what was deleted can be brought back for 30 days, then it goes with its history."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.todos.models import Change, Todo
from apps.todos.operations import trash
from apps.todos.operations.trash import sweep_trash
from apps.todos.operations.writing import restore_todo
from apps.todos.owners import TODOS as HOLDINGS
from kit.directory import Viewer
from kit.ids import new_id
from tasks import celery_tasks as look
from tests.factories import UserFactory
from tests.racing import race
from tests.todos.conftest import TODOS, Client, address_of, signed_in

BOTH = ["default", "todos"]
MONTH = timedelta(days=30)


def bring_back(client: Client, todo: dict[str, Any], **headers: str) -> Any:
    return client.post(f"{address_of(todo)}restore/", headers=headers)


def deleted_days_ago(days: float, *todos: dict[str, Any]) -> None:
    at = timezone.now() - timedelta(days=days)
    Todo.objects.filter(id__in=[todo["id"] for todo in todos]).update(deleted_at=at)


def empty_trash() -> None:
    while sweep_trash(older_than=MONTH):
        pass


@pytest.mark.django_db(databases=BOTH)
class TestTrash:
    def test_has_ones_own_and_all_for_staff(self, ada: Client, bob: Client, staff: Client) -> None:
        gone, _ = ada.add("Gone", visibility="public"), ada.add("Here")
        ada.delete(address_of(gone))

        assert ada.list(deleted="true") == ["Gone"]
        assert ada.list() == ada.list(deleted="false") == ["Here"]
        assert bob.list(deleted="true") == bob.list() == []
        assert staff.list(deleted="true") == ["Gone"]
        (shown,) = ada.get(TODOS, {"deleted": "true"}).json()["results"]
        assert (shown["id"], shown["version"]) == (gone["id"], 2)
        assert shown["deleted_at"]

    def test_is_narrowed_like_any_list(self, ada: Client) -> None:
        for title in ("Milk", "Bread"):
            ada.delete(address_of(ada.add(title, category=title)))

        assert ada.list(deleted="true", category="Milk") == ["Milk"]
        assert ada.list(deleted="true", search="rea") == ["Bread"]
        assert ada.list(deleted="1", ordering="title") == ["Bread", "Milk"]

    def test_is_not_in_the_counts(self, ada: Client) -> None:
        ada.delete(address_of(ada.add(tags=["shop"], category="home")))

        assert ada.get(f"{TODOS}tags/").json()["results"] == []
        assert ada.get(f"{TODOS}categories/").json()["results"] == []

    @pytest.mark.parametrize("method", ["get", "patch", "delete"])
    def test_hides_what_is_in_it(self, ada: Client, method: str) -> None:
        todo = ada.add()
        ada.delete(address_of(todo))

        assert getattr(ada, method)(address_of(todo)).status_code == 404


@pytest.mark.django_db(databases=BOTH)
class TestRestore:
    def test_brings_back_what_was_there(self, ada: Client) -> None:
        todo = ada.add(tags=["shop"], due_at="2031-05-01T08:30:00Z")
        ada.delete(address_of(todo))

        response = bring_back(ada, todo)

        assert response.status_code == 200
        assert response["ETag"] == ada.tag_of(todo)
        back = ada.get(address_of(todo)).json()
        assert (
            back
            == response.json()
            == {
                **todo,
                "version": 3,
                "updated_at": back["updated_at"],
            }
        )
        assert ada.list(deleted="true") == []

    def test_is_refused_for_what_is_not_deleted(self, ada: Client) -> None:
        todo = ada.add()

        response = bring_back(ada, todo)

        assert (response.status_code, response.json()["code"]) == (409, "not_deleted")
        assert ada.get(address_of(todo)).json() == todo

    def test_is_refused_when_stale(self, ada: Client) -> None:
        todo = ada.add()
        ada.delete(address_of(todo))

        response = bring_back(ada, todo, **{"If-Match": '"1"'})

        assert response.status_code == 412
        assert response.json()["current"]["version"] == 2
        assert bring_back(ada, todo, **{"If-Match": '"2"'}).status_code == 200

    def test_is_the_owners_and_staffs(self, ada: Client, bob: Client, staff: Client) -> None:
        todo = ada.add(visibility="public")
        ada.delete(address_of(todo))

        assert bring_back(bob, todo).status_code == 404
        assert bring_back(staff, todo).status_code == 200
        assert ada.post(f"{TODOS}{new_id()}/restore/").status_code == 404


@pytest.mark.django_db(databases=BOTH)
class TestSweep:
    def test_removes_what_is_older_with_its_history_and_nothing_else(
        self, ada: Client, bob: Client
    ) -> None:
        here, fresh, old, bobs = ada.add("Here"), ada.add("Fresh"), ada.add("Old"), bob.add("Bobs")
        for client, todo in [(ada, here), (ada, old), (bob, bobs)]:
            client.patch(address_of(todo), {"content": "changed"})
        for client, todo in [(ada, fresh), (ada, old), (bob, bobs)]:
            client.delete(address_of(todo))
        deleted_days_ago(31, old, bobs)
        deleted_days_ago(29, fresh)

        empty_trash()

        assert ada.list() == ["Here"]
        assert ada.list(deleted="true") == ["Fresh"]
        left = set(Change.objects.values_list("todo", flat=True))
        assert {str(todo_id) for todo_id in left} == {here["id"], fresh["id"]}
        assert not Todo.objects.filter(title__in=["Old", "Bobs"]).exists()
        assert bring_back(ada, old).status_code == 404

    def test_comes_after_thirty_days(self, ada: Client) -> None:
        kept, gone = ada.add("Kept"), ada.add("Gone")
        for todo in (kept, gone):
            ada.delete(address_of(todo))
        deleted_days_ago(29.9, kept)
        deleted_days_ago(30.1, gone)

        look.sweep_trash()

        assert ada.list(deleted="true") == ["Kept"]
        assert bring_back(ada, kept).status_code == 200
        assert bring_back(ada, gone).status_code == 404

    def test_goes_chunk_by_chunk(self, ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trash, "CHUNK_TODOS", 2)
        todos = [ada.add() for _ in range(5)]
        for todo in todos:
            ada.delete(address_of(todo))
        deleted_days_ago(31, *todos)

        more = [sweep_trash(older_than=MONTH) for _ in range(3)]

        assert more == [True, True, False]
        assert not Todo.objects.exists()
        assert not sweep_trash(older_than=MONTH)

    def test_leaves_to_a_deletion_what_that_has_counted(self, ada: Client) -> None:
        todo = ada.add()
        ada.delete(address_of(todo))
        deleted_days_ago(31, todo)
        owner_id = UUID(todo["owner"]["id"])
        HOLDINGS.entomb(owner_id)

        empty_trash()

        assert HOLDINGS.count(owner_id) == 2


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestSweepAndRestore:
    def test_meet_and_the_todo_is_either_back_or_gone(self) -> None:
        outcomes = set()
        user = UserFactory.create()
        client = signed_in(user)
        for _ in range(20):
            todo = client.add()
            client.delete(address_of(todo))
            deleted_days_ago(31, todo)

            back, _ = race(
                partial(restore_todo, todo_id=todo["id"], viewer=Viewer(user.id)),
                partial(sweep_trash, older_than=MONTH),
                errors_as_values=True,
            )

            is_back = isinstance(back, Todo)
            outcomes.add(is_back)
            assert client.get(address_of(todo)).status_code == (200 if is_back else 404)
            assert Change.objects.filter(todo=todo["id"]).count() == (2 if is_back else 0)
        assert outcomes
