"""ETags: nothing is sent twice that has not changed, nobody overwrites what he has not read."""

from typing import Any

import pytest

from tests.factories import UserFactory
from tests.racing import race
from tests.todos.conftest import TODOS, Client, address_of, signed_in

WRITERS = 12


@pytest.mark.django_db(databases=["default", "todos"])
class TestReading:
    def test_the_tag_is_the_same_wherever_the_todo_is_shown(self, ada: Client) -> None:
        created = ada.post(TODOS, {"title": "Rest"})
        read = ada.get(address_of(created.json()))

        patched = ada.patch(address_of(created.json()), {"title": "Rest more"})
        read_again = ada.get(address_of(created.json()))

        assert created["ETag"] == read["ETag"]
        assert patched["ETag"] == read_again["ETag"]
        assert created["ETag"] != patched["ETag"]

    def test_what_is_known_is_not_sent_again(self, ada: Client) -> None:
        todo = ada.add()
        tag = ada.tag_of(todo)

        response = ada.get(address_of(todo), headers={"If-None-Match": tag})

        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == tag

    def test_what_has_changed_is_sent(self, ada: Client) -> None:
        todo = ada.add()
        tag = ada.tag_of(todo)
        ada.patch(address_of(todo), {"title": "Rest"})

        response = ada.get(address_of(todo), headers={"If-None-Match": tag})

        assert response.status_code == 200
        assert response.json()["title"] == "Rest"


@pytest.mark.django_db(databases=["default", "todos"])
@pytest.mark.parametrize("method", ["patch", "put", "delete"])
class TestWriting:
    def test_goes_through_with_the_tag_that_was_read(self, ada: Client, method: str) -> None:
        todo = ada.add()

        response = write(ada, method, todo, ada.tag_of(todo))

        assert response.status_code in (200, 204)

    def test_goes_through_whatever_is_there_with_a_star(self, ada: Client, method: str) -> None:
        response = write(ada, method, ada.add(), "*")

        assert response.status_code in (200, 204)

    def test_is_refused_when_stale_and_shows_the_todo_as_it_is(
        self, ada: Client, method: str
    ) -> None:
        todo = ada.add()
        tag = ada.tag_of(todo)
        current = ada.patch(address_of(todo), {"title": "Meanwhile"}).json()

        response = write(ada, method, todo, tag)

        problem = response.json()
        assert response.status_code == problem["status"] == 412
        assert response["Content-Type"] == "application/problem+json"
        assert problem["current"] == current
        assert ada.get(address_of(todo)).json() == current

    @pytest.mark.parametrize("tag", ['"stranger"', '"999"', 'W/"1"'])
    def test_is_refused_for_a_tag_that_never_was(self, ada: Client, method: str, tag: str) -> None:
        assert write(ada, method, ada.add(), tag).status_code == 412

    def test_is_not_understood_without_quotes(self, ada: Client, method: str) -> None:
        assert write(ada, method, ada.add(), "1").status_code == 400

    def test_that_finds_nothing_says_so_first(self, ada: Client, method: str) -> None:
        todo = ada.add()
        ada.delete(address_of(todo))

        assert write(ada, method, todo, '"1"').status_code == 404


@pytest.mark.django_db(databases=["default", "todos"])
class TestReplacing:
    def test_needs_to_say_what_it_replaces(self, ada: Client) -> None:
        todo = ada.add()

        response = ada.put(address_of(todo), {"title": "Rest"})

        assert response.status_code == response.json()["status"] == 428
        assert ada.get(address_of(todo)).json() == todo

    def test_may_say_so_in_the_body(self, ada: Client) -> None:
        todo = ada.add()

        first = ada.put(address_of(todo), {"title": "Rest", "version": 1})
        second = ada.put(address_of(todo), {"title": "Work", "version": 1})

        assert first.status_code == 200
        assert (first.json()["title"], first.json()["version"]) == ("Rest", 2)
        assert second.status_code == 412
        assert second.json()["current"] == first.json()

    def test_believes_the_header_rather_than_the_body(self, ada: Client) -> None:
        todo = ada.add()

        response = ada.put(
            address_of(todo), {"title": "Rest", "version": 2}, headers={"If-Match": '"1"'}
        )

        assert response.status_code == 200

    @pytest.mark.parametrize("version", [0, -1, "one", [], True])
    def test_refuses_a_version_that_is_none(self, ada: Client, version: object) -> None:
        response = ada.put(address_of(ada.add()), {"title": "Rest", "version": version})

        assert response.status_code == 400

    def test_needs_a_title(self, ada: Client) -> None:
        response = ada.put(address_of(ada.add()), {"version": 1})

        assert response.status_code == 400


@pytest.mark.django_db(databases=["default", "todos"], transaction=True)
class TestManyWriters:
    def test_of_those_who_read_the_same_version_one_writes(self) -> None:
        user = UserFactory.create(username="ada")
        ada = signed_in(user)
        todo = ada.add()
        tag = ada.tag_of(todo)

        def edit(number: int) -> int:
            change = {"title": f"Writer {number}"}
            response = signed_in(user).patch(address_of(todo), change, headers={"If-Match": tag})
            return response.status_code

        statuses = race(*(lambda number=number: edit(number) for number in range(WRITERS)))

        assert sorted(statuses) == [200] + [412] * (WRITERS - 1)
        winner = ada.get(address_of(todo)).json()
        assert winner["title"] == f"Writer {statuses.index(200)}"
        assert winner["version"] == 2

    def test_none_is_lost_of_those_who_change_different_fields(self) -> None:
        user = UserFactory.create(username="ada")
        ada = signed_in(user)
        todo = ada.add()
        changes = {"title": "Rest", "content": "long", "category": "health", "tags": ["soon"]}

        race(
            *(
                lambda change=change: signed_in(user).patch(address_of(todo), dict([change]))
                for change in changes.items()
            )
        )

        now = ada.get(address_of(todo)).json()
        assert {name: now[name] for name in changes} == changes
        assert now["version"] == 1 + len(changes)


def write(client: Client, method: str, todo: dict[str, Any], tag: str) -> Any:
    body = None if method == "delete" else {"title": "Written"}
    return getattr(client, method)(address_of(todo), body, headers={"If-Match": tag})
