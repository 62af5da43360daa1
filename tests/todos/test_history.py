"""History and undo: every change is kept, and a todo can be made what it was."""

from typing import Any

import pytest
from django.db import connections

from apps.todos.models import Change, Todo
from kit.ids import new_id
from tests.growth import grown
from tests.todos.conftest import TODOS, Client, address_of, refused_fields

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

BEFORE: dict[str, Any] = {
    "title": "Buy milk",
    "content": "two litres",
    "category": "errands",
    "tags": ["shop", "food"],
    "due_at": "2031-05-01T08:30:00.250001Z",
    "visibility": "public",
}
AFTER: dict[str, Any] = {
    "title": "우유를 사다",
    "content": "",
    "category": "",
    "tags": [],
    "due_at": None,
    "visibility": "private",
}


def history_of(client: Client, todo: dict[str, Any]) -> list[dict[str, Any]]:
    response = client.get(f"{address_of(todo)}history/")
    assert response.status_code == 200, response.text
    versions: list[dict[str, Any]] = response.json()["results"]
    return versions


def restore(client: Client, todo: dict[str, Any], version: int, **headers: str) -> Any:
    return client.post(f"{address_of(todo)}history/{version}/restore/", headers=headers)


class TestHistory:
    def test_tells_which_fields_from_what_to_what(self, ada: Client) -> None:
        todo = ada.add(**BEFORE)

        changed = ada.patch(address_of(todo), AFTER).json()

        latest, first = history_of(ada, todo)
        assert latest == {
            "version": 2,
            "action": "changed",
            "at": changed["updated_at"],
            "by": todo["owner"],
            "changes": {name: {"from": BEFORE[name], "to": AFTER[name]} for name in BEFORE},
        }
        assert first == {
            "version": 1,
            "action": "created",
            "at": todo["created_at"],
            "by": todo["owner"],
            "changes": {},
        }

    def test_has_only_what_differs(self, ada: Client) -> None:
        todo = ada.add(**BEFORE)

        ada.patch(address_of(todo), {"title": BEFORE["title"], "category": "home"})

        assert history_of(ada, todo)[0]["changes"] == {
            "category": {"from": "errands", "to": "home"}
        }

    def test_tells_when_it_was_completed(self, ada: Client) -> None:
        todo = ada.add()

        done = ada.patch(address_of(todo), {"completed": True}).json()

        change = history_of(ada, todo)[0]["changes"]["completed_at"]
        assert change == {"from": None, "to": done["completed_at"]}

    def test_tells_that_it_was_somebody_else(self, ada: Client, staff: Client) -> None:
        staff.add("so that it is known who they are")
        todo = ada.add()

        staff.patch(address_of(todo), {"title": "Tidied"})

        assert history_of(ada, todo)[0]["by"]["username"] == "boss"

    def test_goes_on_in_the_trash(self, ada: Client) -> None:
        todo = ada.add()
        ada.delete(address_of(todo))
        in_trash = [version["action"] for version in history_of(ada, todo)]

        ada.post(f"{address_of(todo)}restore/")

        assert in_trash == ["deleted", "created"]
        assert [version["action"] for version in history_of(ada, todo)] == ["restored", *in_trash]

    def test_comes_in_pages_at_a_constant_number_of_queries(
        self, ada: Client, django_assert_num_queries: Any
    ) -> None:
        todo = ada.add()
        for number in range(8):
            ada.patch(address_of(todo), {"title": f"title {number}"})

        seen: list[int] = []
        address = f"{address_of(todo)}history/?page_size=4"
        while address:
            with django_assert_num_queries(3, using="todos"):
                page = ada.get(address).json()
            seen += [version["version"] for version in page["results"]]
            address = page["next"]

        assert seen == list(range(9, 0, -1))

    def test_of_one_todo_has_no_use_for_a_cursor_of_anothers(self, ada: Client) -> None:
        todo, other = ada.add(), ada.add()
        for each in (todo, other):
            ada.patch(address_of(each), {"title": "Rest"})
        page = ada.get(f"{address_of(other)}history/?page_size=1").json()
        _, cursor = page["next"].split("?")

        response = ada.get(f"{address_of(todo)}history/?{cursor}")

        assert refused_fields(response) == {"cursor"}

    def test_is_its_owners_and_staffs_only(self, ada: Client, bob: Client, staff: Client) -> None:
        private, public = ada.add(), ada.add(visibility="public")

        assert bob.get(f"{address_of(private)}history/").status_code == 404
        assert bob.get(f"{address_of(public)}history/").status_code == 403
        assert len(history_of(staff, private)) == 1
        assert ada.get(f"{TODOS}{new_id()}/history/").status_code == 404


class TestUndo:
    def test_makes_it_what_it_was_as_one_more_change(self, ada: Client) -> None:
        todo = ada.add(**BEFORE, completed=True)
        ada.patch(address_of(todo), {**AFTER, "completed": False})
        ada.patch(address_of(todo), {"title": "Third"})

        response = restore(ada, todo, 1)

        assert response.status_code == 200
        restored = response.json()
        assert (restored["version"], response["ETag"]) == (4, ada.tag_of(todo))
        told = {"version", "updated_at"}
        assert {key: restored[key] for key in restored.keys() - told} == {
            key: todo[key] for key in todo.keys() - told
        }
        assert history_of(ada, todo)[0]["changes"]["title"] == {"from": "Third", "to": "Buy milk"}

    def test_can_itself_be_undone(self, ada: Client) -> None:
        todo = ada.add("one")
        ada.patch(address_of(todo), {"title": "two"})
        restore(ada, todo, 1)

        restore(ada, todo, 2)

        assert ada.get(address_of(todo)).json()["title"] == "two"

    @pytest.mark.parametrize("version", [0, 3, 10**9, 10**30])
    def test_finds_no_version_that_never_was(self, ada: Client, version: int) -> None:
        todo = ada.add()
        current = ada.patch(address_of(todo), {"title": "two"}).json()

        assert restore(ada, todo, version).status_code == 404
        assert ada.get(address_of(todo)).json() == current

    def test_finds_no_version_of_a_time_before_history_was_kept(self, ada: Client) -> None:
        todo = ada.add()
        ada.patch(address_of(todo), {"title": "two"})
        Change.objects.all().delete()
        ada.patch(address_of(todo), {"title": "three"})

        assert restore(ada, todo, 1).status_code == 404
        assert restore(ada, todo, 2).json()["title"] == "two"

    def test_holds_no_more_of_a_long_history_than_of_a_short_one(self, ada: Client) -> None:
        todo = ada.add("first")
        ada.patch(address_of(todo), {"content": "then"})
        with connections["todos"].cursor() as cursor:
            cursor.execute(EDIT, {"todo": todo["id"], "times": 2_000})

        with grown() as most:
            response = restore(ada, todo, 1)

        assert (response.status_code, response.json()["content"]) == (200, "")
        assert most() < 100_000_000  # held, it would be four times as much

    def test_is_refused_when_stale(self, ada: Client) -> None:
        todo = ada.add()
        current = ada.patch(address_of(todo), {"title": "two"}).json()

        response = restore(ada, todo, 1, **{"If-Match": '"1"'})

        assert response.status_code == 412
        assert response.json()["current"] == current

    def test_is_refused_to_others_and_in_the_trash(self, ada: Client, bob: Client) -> None:
        private, public, gone = ada.add(), ada.add(visibility="public"), ada.add()
        ada.delete(address_of(gone))

        assert restore(bob, private, 1).status_code == 404
        assert restore(bob, public, 1).status_code == 403
        assert restore(ada, gone, 1).status_code == 404

    def test_leaves_no_change_without_its_todo(self, ada: Client) -> None:
        todo = ada.add()
        ada.patch(address_of(todo), {"title": "two"})

        assert set(Change.objects.values_list("todo", flat=True)) <= set(
            Todo.objects.values_list("id", flat=True)
        )


EDIT = """
WITH edited AS (
    UPDATE todos_todo SET version = version + %(times)s WHERE id = %(todo)s
    RETURNING id, owner_id
)
INSERT INTO todos_change (id, owner_id, todo_id, version, position, at, by_id, changes)
SELECT uuidv7(), owner_id, id, 2 + number, 2 + number, now(), owner_id,
       jsonb_build_object('content', jsonb_build_array(repeat('x', 50000), repeat('y', 50000)))
FROM edited CROSS JOIN generate_series(1, %(times)s) AS number
"""
