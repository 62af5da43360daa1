"""Many todos in one request: all of it is done, or nothing."""

from typing import Any

import pytest

from apps.todos.models import Change, Todo
from tests.clients import send_json
from tests.factories import UserFactory
from tests.racing import race
from tests.todos.conftest import TODOS, Client, address_of, refused_fields, signed_in

BULK = f"{TODOS}bulk/"
BOTH = ["default", "todos"]
NOBODYS = "01234567-89ab-7def-8123-456789abcdef"


def everything(client: Client) -> tuple[list[Any], int]:
    """All that there is to be seen, and how many changes were kept."""
    both = [client.get(TODOS, {"deleted": deleted}).json() for deleted in ("false", "true")]
    return both, Change.objects.count()


@pytest.mark.django_db(databases=BOTH)
class TestBulk:
    def test_does_all_of_it_and_answers_in_order(self, ada: Client) -> None:
        first, second, third, fourth = (ada.add(f"todo {n}") for n in range(4))

        response = ada.post(
            BULK,
            {
                "create": [{"title": "new", "tags": ["a"]}, {"title": "newer", "completed": True}],
                "update": [
                    {"id": second["id"], "version": 1, "title": "changed", "category": "x"},
                    {"id": first["id"], "completed": True},
                ],
                "delete": [fourth["id"]],
            },
        )

        assert response.status_code == 200, response.text
        results = response.json()["results"]
        titles = ["new", "newer", "changed", "todo 0", "todo 3"]
        assert [todo["title"] for todo in results] == titles
        assert [todo["version"] for todo in results] == [1, 1, 2, 2, 2]
        assert [todo["completed"] for todo in results] == [False, True, False, True, False]
        assert [todo["id"] for todo in results[2:]] == [second["id"], first["id"], fourth["id"]]
        for todo in results[:4]:
            assert ada.get(address_of(todo)).json() == todo
        assert ada.get(TODOS, {"deleted": "true"}).json()["results"] == results[4:]
        assert ada.get(address_of(third)).json() == third

    def test_keeps_what_it_changed(self, ada: Client) -> None:
        todo = ada.add("before")

        ada.post(BULK, {"update": [{"id": todo["id"], "title": "after"}]})

        latest = ada.get(f"{address_of(todo)}history/").json()["results"][0]
        assert latest["changes"] == {"title": {"from": "before", "to": "after"}}

    def test_keeps_when_the_others_were_created(self, ada: Client) -> None:
        todo = ada.add(due_at="2031-05-01T08:30:00Z", tags=["shop"], visibility="public")

        ada.post(BULK, {"update": [{"id": todo["id"], "title": "after"}]})

        now = ada.get(address_of(todo)).json()
        assert now == {**todo, "title": "after", "version": 2, "updated_at": now["updated_at"]}

    @pytest.mark.parametrize("body", [{}, {"create": []}, {"update": [], "delete": []}])
    def test_may_be_of_nothing(self, ada: Client, body: dict[str, Any]) -> None:
        assert ada.post(BULK, body).json() == {"results": []}

    def test_costs_as_many_statements_for_many_as_for_one(
        self, ada: Client, django_assert_num_queries: Any
    ) -> None:
        todos = [ada.add() for _ in range(40)]

        for first, last in ((0, 1), (2, 14)):  # both of them go into one statement each
            some = todos[first:last]
            body = {
                "create": [{"title": "new"} for _ in some],
                "update": [{"id": todo["id"], "title": "changed"} for todo in some],
                "delete": [todo["id"] for todo in todos[first + 20 : last + 20]],
            }
            # Two to find them; a begin and a commit; a turn; three to write.
            with django_assert_num_queries(8, using="todos"):
                assert ada.post(BULK, body).status_code == 200

    def test_takes_a_thousand_in_forty_statements(
        self, ada: Client, django_assert_num_queries: Any
    ) -> None:
        ada.add("the first, so that the owner is known")

        # A begin and a commit, a turn, a count.
        with django_assert_num_queries(4 + 40, using="todos"):
            response = ada.post(BULK, {"create": [{"title": f"{n}"} for n in range(1000)]})

        assert response.status_code == 200
        assert [todo["title"] for todo in response.json()["results"]] == [
            f"{n}" for n in range(1000)
        ]

    def test_lets_staff_change_those_of_several(
        self, ada: Client, bob: Client, staff: Client
    ) -> None:
        todos = [ada.add(), bob.add(), ada.add()]

        response = staff.post(
            BULK, {"update": [{"id": todo["id"], "title": "Tidied"} for todo in todos]}
        )

        assert response.status_code == 200
        assert ada.list() == ["Tidied", "Tidied"]
        assert bob.list() == ["Tidied"]


@pytest.mark.django_db(databases=BOTH)
class TestOneBadItem:
    @pytest.mark.parametrize(
        ("name", "item", "field"),
        [
            ("create", {}, "create[1].title"),
            ("create", {"title": ""}, "create[1].title"),
            ("create", {"title": "a\0b"}, "create[1].title"),
            ("create", {"title": "x", "tags": ["a", ""]}, "create[1].tags[1]"),
            ("create", {"title": "x", "due_at": "soon"}, "create[1].due_at"),
            ("create", "text", "create[1]"),
            ("create", None, "create[1]"),
            ("update", {"title": "x"}, "update[1].id"),
            ("update", {"id": "x", "title": "x"}, "update[1].id"),
            ("update", {"id": NOBODYS, "title": "x"}, "update[1].id"),
            ("update", {"id": "another", "title": ""}, "update[1].title"),
            ("update", {"id": "another", "version": 0}, "update[1].version"),
            ("update", {"id": "another", "version": "x"}, "update[1].version"),
            ("update", {"id": "the same", "title": "x"}, "update[1].id"),
            ("update", {"id": "somebody's", "title": "x"}, "update[1].id"),
            ("update", {"id": "somebody's secret", "title": "x"}, "update[1].id"),
            ("delete", "x", "delete[1]"),
            ("delete", None, "delete[1]"),
            ("delete", NOBODYS, "delete[1]"),
            ("delete", "the same", "delete[1]"),
            ("delete", "somebody's", "delete[1]"),
            ("delete", "gone", "delete[1]"),
        ],
    )
    def test_is_named_by_its_place_and_nothing_is_done(
        self, ada: Client, bob: Client, name: str, item: Any, field: str
    ) -> None:
        one, another, deleted, gone = (ada.add(f"todo {n}") for n in range(4))
        ada.delete(address_of(gone))
        ids = {
            "another": another["id"],
            "the same": {"update": one, "delete": deleted}.get(name, one)["id"],
            "somebody's": bob.add(visibility="public")["id"],
            "somebody's secret": bob.add()["id"],
            "gone": gone["id"],
        }
        if isinstance(item, dict) and item.get("id") in ids:
            item = {**item, "id": ids[item["id"]]}
        elif isinstance(item, str):
            item = ids.get(item, item)
        body: dict[str, list[Any]] = {
            "create": [{"title": "good"}],
            "update": [{"id": one["id"], "title": "good"}],
            "delete": [deleted["id"]],
        }
        body[name].append(item)
        before = everything(ada)

        response = ada.post(BULK, body)

        assert refused_fields(response) == {field}
        assert everything(ada) == before

    def test_that_is_stale_is_told_with_what_there_is(self, ada: Client) -> None:
        one, other = ada.add("one"), ada.add("other")
        current = ada.patch(address_of(other), {"title": "meanwhile"}).json()
        edits = [{"id": todo["id"], "version": 1, "title": "good"} for todo in (one, other)]

        response = ada.post(BULK, {"create": [{"title": "new"}], "update": edits})

        problem = response.json()
        assert (response.status_code, problem["item"]) == (412, "update[1]")
        assert problem["current"] == current
        assert sorted(ada.list()) == ["meanwhile", "one"]

    @pytest.mark.parametrize(
        "body",
        [
            {"create": [{"title": "x"}] * 1001},
            {"create": [{"title": "x"}] * 600, "delete": [NOBODYS] * 401},
        ],
    )
    def test_too_many_are_refused(self, ada: Client, body: dict[str, Any]) -> None:
        assert refused_fields(ada.post(BULK, body)) == {""}
        assert ada.list() == []

    @pytest.mark.parametrize(
        "body", [[], None, "x", 5, {"create": {}}, {"update": "x"}, {"delete": {"a": 1}}]
    )
    def test_of_no_lists_is_refused(self, ada: Client, body: Any) -> None:
        assert send_json(ada, "POST", BULK, body).status_code == 400

    def test_two_in_one_are_named_both(self, ada: Client) -> None:
        response = ada.post(BULK, {"create": [{"title": ""}, {"title": "x"}, {}]})

        assert refused_fields(response) == {"create[0].title", "create[2].title"}


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestAtOnce:
    def test_of_those_who_read_the_same_versions_one_writes(self) -> None:
        user = UserFactory.create()
        todos = [signed_in(user).add() for _ in range(3)]

        def edit(number: int) -> int:
            edits = [
                {"id": todo["id"], "version": 1, "title": f"{number}"}
                for todo in (todos if number % 2 else reversed(todos))
            ]
            response = signed_in(user).post(BULK, {"update": edits})
            return int(response.status_code)

        statuses = race(*(lambda number=number: edit(number) for number in range(12)))

        assert sorted(statuses) == [200] + [412] * 11
        titles = set(Todo.objects.values_list("title", flat=True))
        assert titles == {f"{statuses.index(200)}"}
