"""One todo over HTTP: created, read, changed, completed and deleted, by whom it may be."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from kit.ids import new_id
from tests.todos.conftest import TODOS, Client, address_of

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

EVERYTHING: dict[str, Any] = {
    "title": "우유를 사다",
    "content": "  two litres,\n  and  oats ",
    "category": "errands",
    "tags": ["shop", "home", "a,b"],
    "due_at": "2031-05-01T08:30:00Z",
    "visibility": "public",
}


class TestCreate:
    def test_answers_with_the_todo_and_where_it_is(self, ada: Client) -> None:
        response = ada.post(TODOS, EVERYTHING)

        todo = response.json()
        assert response.status_code == 201
        assert response["Location"] == address_of(todo)
        assert ada.get(response["Location"]).json() == todo
        assert {name: todo[name] for name in EVERYTHING} == EVERYTHING
        assert todo["owner"]["username"] == "ada"
        assert todo["version"] == 1
        assert (todo["completed"], todo["completed_at"]) == (False, None)

    def test_needs_a_title_only(self, ada: Client) -> None:
        todo = ada.add("Rest")

        assert (todo["content"], todo["category"], todo["tags"]) == ("", "", [])
        assert (todo["due_at"], todo["visibility"]) == (None, "private")

    def test_takes_one_that_is_already_completed(self, ada: Client) -> None:
        todo = ada.add(completed=True)

        assert todo["completed"]
        assert todo["completed_at"]

    def test_leaves_to_the_server_what_is_the_servers(self, ada: Client, bob: Client) -> None:
        others = bob.add()

        todo = ada.add(
            id=others["id"],
            owner=others["owner"],
            version=7,
            completed_at="2020-01-01T00:00:00Z",
            created_at="2020-01-01T00:00:00Z",
            colour="red",
        )

        assert todo["id"] != others["id"]
        assert todo["owner"]["username"] == "ada"
        assert (todo["version"], todo["completed_at"]) == (1, None)
        assert todo["created_at"] > "2021"

    @pytest.mark.django_db(databases=["default", "todos"], transaction=True)
    def test_costs_one_statement(self, ada: Client, django_assert_num_queries: Any) -> None:
        ada.add("the first, so that the owner is known")

        with django_assert_num_queries(1, using="todos"):
            ada.add(**EVERYTHING)

    def test_is_the_same_at_its_other_address(self, ada: Client) -> None:
        response = ada.post("/api/todo/create", EVERYTHING)

        assert response.status_code == 201
        assert ada.get(response["Location"]).json() == response.json()

    @pytest.mark.parametrize("address", [TODOS, "/api/todo/create"])
    def test_needs_a_sign_in(self, address: str) -> None:
        response = APIClient().post(address, EVERYTHING)

        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"


class TestRead:
    def test_shows_a_public_one_to_everyone(self, ada: Client, bob: Client) -> None:
        todo = ada.add(visibility="public")

        assert bob.get(address_of(todo)).json() == todo

    def test_hides_a_private_one_from_others_but_not_from_staff(
        self, ada: Client, bob: Client, staff: Client
    ) -> None:
        todo = ada.add()

        assert bob.get(address_of(todo)).status_code == 404
        assert staff.get(address_of(todo)).status_code == 200

    @pytest.mark.parametrize("todo_id", [new_id(), "1", "not-a-uuid", "%00", "%ed%a0%80"])
    def test_finds_nothing_where_nothing_is(self, ada: Client, todo_id: object) -> None:
        response = ada.get(f"{TODOS}{todo_id}/")

        assert response.status_code == 404
        assert response.json()["status"] == 404


class TestChange:
    def test_changes_what_was_given_and_counts(self, ada: Client) -> None:
        todo = ada.add(**{**EVERYTHING, "title": "Buy oats"})

        changed = ada.patch(address_of(todo), {"category": "food"}).json()

        assert changed == {
            **todo,
            "category": "food",
            "version": 2,
            "updated_at": changed["updated_at"],
        }
        assert changed["updated_at"] > todo["updated_at"]
        assert ada.get(address_of(todo)).json() == changed

    def test_sets_and_clears_when_it_was_completed(self, ada: Client) -> None:
        todo = ada.add()

        done = ada.patch(address_of(todo), {"completed": True}).json()
        again = ada.patch(address_of(todo), {"completed": True}).json()
        undone = ada.patch(address_of(todo), {"completed": False}).json()

        since = datetime.fromisoformat(done["completed_at"])
        assert datetime.fromisoformat(todo["created_at"]) <= since <= datetime.now(UTC)
        assert again["completed_at"] == done["completed_at"]
        assert (undone["completed"], undone["completed_at"]) == (False, None)

    def test_can_take_a_due_date_away(self, ada: Client) -> None:
        todo = ada.add(due_at="2031-05-01T08:30:00+02:00")

        assert todo["due_at"] == "2031-05-01T06:30:00Z"
        assert ada.patch(address_of(todo), {"due_at": None}).json()["due_at"] is None

    def test_takes_no_version_but_in_a_header(self, ada: Client) -> None:
        todo = ada.add()

        response = ada.patch(address_of(todo), {"title": "Rest", "version": 99})

        assert response.status_code == 200
        assert response.json()["version"] == 2


class TestDelete:
    def test_leaves_nothing(self, ada: Client) -> None:
        todo = ada.add()

        response = ada.delete(address_of(todo))

        assert (response.status_code, response.content) == (204, b"")
        assert ada.get(address_of(todo)).status_code == 404
        assert ada.delete(address_of(todo)).status_code == 404


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("patch", {"title": "Mine"}),
        ("put", {"title": "Mine", "version": 1}),
        ("put", {}),
        ("delete", None),
    ],
)
class TestWrite:
    def test_is_refused_to_others(
        self, ada: Client, bob: Client, method: str, body: dict[str, Any] | None
    ) -> None:
        private, public = ada.add(), ada.add(visibility="public")

        to_private = getattr(bob, method)(address_of(private), body)
        to_public = getattr(bob, method)(address_of(public), body)

        assert to_private.status_code == 404
        assert to_public.status_code == 403
        assert to_public.json()["detail"] == "Only its owner may change this todo."
        assert ada.get(address_of(private)).json() == private
        assert ada.get(address_of(public)).json() == public

    def test_needs_a_sign_in(self, ada: Client, method: str, body: dict[str, Any] | None) -> None:
        todo = ada.add(visibility="public")

        response = getattr(APIClient(), method)(address_of(todo), body)

        assert response.status_code == 401
        assert ada.get(address_of(todo)).json() == todo


class TestStaff:
    def test_may_change_and_delete_what_is_not_theirs(self, ada: Client, staff: Client) -> None:
        todo = ada.add()

        changed = staff.patch(address_of(todo), {"title": "Tidied"}).json()

        assert (changed["title"], changed["owner"]) == ("Tidied", todo["owner"])
        assert staff.delete(address_of(todo)).status_code == 204
