"""Lists of todos: who sees what, narrowed, ordered, in pages that hold still."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from apps.todos.models import Owner, Todo
from kit.ids import new_id
from tests.todos.conftest import TODOS, Client, address_of

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = (NOW - timedelta(days=1)).isoformat(), (NOW + timedelta(days=1)).isoformat()


class TestList:
    def test_shows_ones_own_and_the_public_newest_first(
        self, ada: Client, bob: Client, staff: Client
    ) -> None:
        bob.add("Bob's secret")
        bob.add("Bob's news", visibility="public")
        ada.add("Ada's secret")

        assert ada.list() == ["Ada's secret", "Bob's news"]
        assert bob.list() == ["Bob's news", "Bob's secret"]
        assert staff.list() == ["Ada's secret", "Bob's news", "Bob's secret"]

    def test_shows_each_todo_as_it_is_shown_alone(self, ada: Client) -> None:
        todo = ada.add(tags=["shop"], due_at=TOMORROW)

        assert ada.get(TODOS).json() == {"next": None, "previous": None, "results": [todo]}

    @pytest.mark.parametrize(
        "due_at",
        [
            *("2031-05-01T08:30:00Z", "2031-05-01T08:30:00.500000Z", "2031-05-01T08:30:00.123456Z"),
            *("2031-05-01T08:30:00.000001Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
        ],
    )
    def test_shows_times_as_one_alone_does(self, ada: Client, due_at: str) -> None:
        todo = ada.add(due_at=due_at)

        listed = ada.get(TODOS).json()["results"]

        assert listed == [todo]
        assert listed[0]["due_at"] == due_at

    @pytest.mark.parametrize("page_size", [1, 20])
    def test_costs_one_query_however_many_there_are(
        self,
        ada: Client,
        person: Callable[..., Client],
        django_assert_num_queries: Any,
        page_size: int,
    ) -> None:
        for number in range(20):
            person(f"person{number}").add(visibility="public")

        with (
            django_assert_num_queries(1, using="todos"),
            django_assert_num_queries(0, using="default"),
        ):
            page = ada.get(TODOS, {"page_size": page_size}).json()

        assert len(page["results"]) == page_size


@pytest.fixture
def chores(ada: Client) -> Client:
    """Ada, with four todos of different kinds."""
    ada.add("Milk", category="errands", tags=["shop", "food"], due_at=YESTERDAY)
    ada.add("Bread", category="errands", tags=["food"], due_at=YESTERDAY, completed=True)
    ada.add("Lamp", category="Home", tags=["shop", "%"], due_at=TOMORROW)
    ada.add("Nap", content="with 100% rest_ful\nquiet")
    return ada


class TestFilter:
    @pytest.mark.parametrize(
        ("parameters", "titles"),
        [
            ({"completed": "true"}, "Bread"),
            ({"completed": "false"}, "Nap Lamp Milk"),
            ({"completed": "1"}, "Bread"),
            ({"completed": "False"}, "Nap Lamp Milk"),
            ({"completed": ""}, "Nap Lamp Bread Milk"),
            ({"category": "errands"}, "Bread Milk"),
            ({"category": "home"}, ""),
            ({"tag": "food"}, "Bread Milk"),
            ({"tag": ["food", "shop"]}, "Milk"),
            ({"tag": "foo"}, ""),
            ({"tag": ["", "%"]}, "Lamp"),
            ({"due_before": NOW.isoformat()}, "Bread Milk"),
            ({"due_after": NOW.isoformat()}, "Lamp"),
            ({"due_before": YESTERDAY}, ""),
            ({"due_after": YESTERDAY}, "Lamp"),
            ({"created_before": YESTERDAY}, ""),
            ({"created_after": YESTERDAY}, "Nap Lamp Bread Milk"),
            ({"completed_before": TOMORROW}, "Bread"),
            ({"completed_after": TOMORROW}, ""),
            ({"overdue": "true"}, "Milk"),
            ({"overdue": "false"}, "Nap Lamp Bread"),
            ({"search": "a"}, "Nap Lamp Bread"),
            ({"search": "READ"}, "Bread"),
            ({"search": "quiet nap"}, "Nap"),
            ({"search": "quiet lamp"}, ""),
            ({"search": "%"}, "Nap"),
            ({"search": "t_f"}, "Nap"),
            ({"search": "l_m"}, ""),
            ({"category": "errands", "completed": "false", "tag": "shop"}, "Milk"),
            ({"overdue": "false", "search": "a", "ordering": "title"}, "Bread Lamp Nap"),
            ({"colour": "red"}, "Nap Lamp Bread Milk"),
        ],
    )
    def test_finds(self, chores: Client, parameters: dict[str, Any], titles: str) -> None:
        assert chores.list(**parameters) == titles.split()

    @pytest.mark.parametrize(
        ("text", "search"),
        [
            ("우유를 사다", "유를"),
            ("買牛奶和麵包", "牛奶"),
            ("Купить МОЛОКО", "молок"),
            ("Élan vital", "élan"),
            ("Straße fegen", "straß"),
        ],
    )
    def test_finds_parts_of_words_of_any_language(
        self, ada: Client, text: str, search: str
    ) -> None:
        ada.add(text)
        ada.add("Something else", content=f"first line\n{text}")
        ada.add("Nothing of the kind")

        assert ada.list(search=search) == [text, "Something else"]

    def test_finds_by_the_owners_whole_name_ignoring_case(
        self, ada: Client, person: Callable[..., Client]
    ) -> None:
        person("Zoé").add("Hers", visibility="public")
        person("Zoé2").add("Not hers", visibility="public")

        assert ada.list(username="zOÉ") == ["Hers"]
        assert ada.list(username="zoe\u0301") == ["Hers"]
        assert ada.list(username="zo") == []

    @pytest.mark.parametrize(
        ("parameters", "index"),
        [
            ({"username": "Somebody"}, "todos_owner_username"),
            ({"search": "somewhere"}, "todos_found_by"),
            ({"search": "우유"}, "todos_found_by"),
            ({"search": "水"}, "todos_found_by"),
            ({"tag": "something"}, "todos_tags"),
        ],
    )
    def test_uses_its_index_among_many(
        self, staff: Client, django_assert_num_queries: Any, parameters: dict[str, str], index: str
    ) -> None:
        fill(owners=500, todos=1_500)

        with django_assert_num_queries(1, using="todos") as captured:
            staff.get(TODOS, parameters)

        assert index in plan_of(captured[0]["sql"])

    def test_by_tag_is_planned_for_the_tag_however_often_it_was_asked_for(
        self, ada: Client
    ) -> None:
        for number in range(15):
            ada.list(tag=f"tag {number}")

        with connections["todos"].cursor() as cursor:
            cursor.execute(
                """
                SELECT custom_plans > 5, generic_plans FROM pg_prepared_statements
                WHERE statement LIKE '%%FROM todos_todo%%tags @>%%'
                """
            )
            assert cursor.fetchall() == [(True, 0)]


class TestOrder:
    @pytest.mark.parametrize(
        ("ordering", "titles"),
        [
            ("title", "Bread Lamp Milk Nap"),
            ("-title", "Nap Milk Lamp Bread"),
            ("created_at", "Milk Bread Lamp Nap"),
            ("-created_at", "Nap Lamp Bread Milk"),
            ("due_at", "Milk Bread Lamp Nap"),
            ("-due_at", "Lamp Bread Milk Nap"),
            ("due_at,-title", "Milk Bread Lamp Nap"),
            ("updated_at", "Milk Bread Lamp Nap"),
            ("", "Nap Lamp Bread Milk"),
            ("title,", "Bread Lamp Milk Nap"),
            (",,title", "Bread Lamp Milk Nap"),
            (",", "Nap Lamp Bread Milk"),
        ],
    )
    def test_is_as_asked(self, chores: Client, ordering: str, titles: str) -> None:
        assert chores.list(ordering=ordering) == titles.split()

    def test_by_last_change_follows_changes(self, chores: Client) -> None:
        oldest = chores.get(TODOS).json()["results"][-1]

        chores.patch(address_of(oldest), {"category": ""})

        assert chores.list(ordering="-updated_at")[0] == oldest["title"]


class TestPages:
    @pytest.mark.parametrize(
        "ordering", ["", "title", "-title", "due_at", "-due_at", "created_at", "-updated_at"]
    )
    def test_show_each_todo_once_while_others_come_and_go(
        self, ada: Client, bob: Client, ordering: str
    ) -> None:
        dues = [None, TOMORROW, YESTERDAY]
        todos = [ada.add(f"todo {number % 4}", due_at=dues[number % 3]) for number in range(11)]
        leaving = bob.add("todo 1", visibility="public", due_at=TOMORROW)

        seen: list[str] = []
        address = f"{TODOS}?page_size=3&ordering={ordering}"
        while address:
            page = ada.get(address).json()
            assert len(page["results"]) <= 3
            seen += [todo["id"] for todo in page["results"]]
            address = page["next"]
            ada.add("todo 0", due_at=YESTERDAY)
            ada.add("todo 9")
            bob.delete(address_of(leaving))
            assert len(seen) < 100, "the pages never end"

        assert len(seen) == len(set(seen))
        assert {todo["id"] for todo in todos} <= set(seen)

    def test_keep_their_filters(self, chores: Client) -> None:
        first = chores.get(TODOS, {"category": "errands", "page_size": 1}).json()

        second = chores.get(first["next"]).json()

        assert [todo["title"] for todo in second["results"]] == ["Milk"]
        assert second["next"] is None

    def test_belong_to_one_order(self, chores: Client) -> None:
        first = chores.get(TODOS, {"ordering": "title", "page_size": 1}).json()

        response = chores.get(first["next"].replace("ordering=title", "ordering=-title"))

        assert response.status_code == 400


def fill(*, owners: int, todos: int) -> None:
    """Add as many as it takes for PostgreSQL not to read the whole table."""
    people = [Owner(id=new_id(), username=f"person {number}") for number in range(owners)]
    Owner.objects.bulk_create(people)
    Todo.objects.bulk_create(
        Todo(
            owner=people[number % owners],
            title=f"todo {number}",
            content=f"{new_id()} " * 5,
            tags=[f"tag {number}"],
        )
        for number in range(todos)
    )


def plan_of(query: str) -> str:
    """How PostgreSQL means to run the query on a table that was vacuumed."""
    with connections["todos"].cursor() as cursor:
        for index in ("todos_tags", "todos_found_by"):
            cursor.execute("SELECT gin_clean_pending_list(%s)", [index])
        cursor.execute("ANALYZE todos_owner, todos_todo")
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(line for (line,) in cursor.fetchall())
