"""Pages of a list: each row once, in order, whatever is equal, missing, new or gone."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.test import Client

from apps.todos.models import Owner, Todo
from kit.api import pagination
from kit.ids import new_id

pytestmark = [pytest.mark.urls("tests.shell.routes"), pytest.mark.django_db(databases=["todos"])]

MORNING = datetime(2031, 5, 1, 8, tzinfo=UTC)
HOURS_DUE = [3, None, 1, 3, None, 2, None, 1, None, 3, 2]
TITLES = ["b", "a", "é", "b", "할 일", "", "a", "b", "%", "B", "a"]


@pytest.fixture
def todos() -> list[Todo]:
    """Eleven with many equals; four are never due. In order of their ids."""
    return make_todos(len(TITLES))


def make_todos(count: int) -> list[Todo]:
    owner, _ = Owner.objects.get_or_create(username="ada", defaults={"id": new_id()})
    made = []
    for number in range(count):
        hours = HOURS_DUE[number % len(HOURS_DUE)]
        due_at = None if hours is None else MORNING + timedelta(hours=hours)
        title = TITLES[number % len(TITLES)]
        made.append(Todo(owner=owner, title=title, due_at=due_at))
    return Todo.objects.bulk_create(made)


def get(client: Client, url: str) -> dict[str, Any]:
    response = client.get(url)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    assert page.keys() == {"next", "previous", "results"}
    return page


def walk(client: Client, page: dict[str, Any], link: str) -> list[dict[str, Any]]:
    """This page and those that follow its links, in the order met."""
    pages = [page]
    while pages[-1][link]:
        pages.append(get(client, pages[-1][link]))
    return pages


def ids(pages: list[dict[str, Any]]) -> list[str]:
    return [todo["id"] for page in pages for todo in page["results"]]


class TestNewestFirst:
    def test_gives_the_newest_first(self, client: Client, todos: list[Todo]) -> None:
        pages = walk(client, get(client, "/api/todos/?page_size=4"), "next")

        assert [len(page["results"]) for page in pages] == [4, 4, 3]
        assert ids(pages) == [str(todo.id) for todo in reversed(todos)]

    def test_links_to_whole_addresses_and_nowhere_beyond_the_ends(
        self, client: Client, todos: list[Todo]
    ) -> None:
        first, *_, last = walk(client, get(client, "/api/todos/?page_size=4"), "next")

        assert first["previous"] is None
        assert first["next"].startswith("http://testserver/api/todos/?")
        assert "page_size=4" in first["next"]
        assert last["next"] is None

    def test_links_repeat_what_was_asked_and_name_one_cursor(
        self, client: Client, todos: list[Todo]
    ) -> None:
        asked = "page_size=4&note=a%26b+%EC%9A%B0"
        first = get(client, f"/api/todos/?{asked}")
        second = get(client, first["next"])

        queries = [urlsplit(link).query for link in (first["next"], second["next"])]
        for query in [*queries, urlsplit(second["previous"]).query]:
            assert query.startswith(f"{asked}&cursor=")
            assert len(parse_qs(query)["cursor"]) == 1

    def test_a_cursor_in_other_letters_gives_way_to_the_next(
        self, client: Client, todos: list[Todo]
    ) -> None:
        first = get(client, "/api/todos/?page_size=4")
        disguised = get(client, first["next"].replace("cursor=", "%63ursor="))

        assert ids([get(client, disguised["next"])]) == [str(todo.id) for todo in todos[2::-1]]

    def test_has_no_links_where_one_page_is_all(self, client: Client, todos: list[Todo]) -> None:
        page = get(client, f"/api/todos/?page_size={len(todos)}")

        assert (page["next"], page["previous"]) == (None, None)

    @pytest.mark.parametrize("size", [1, 2, 3, 10])
    @pytest.mark.parametrize(
        "ordering", ["due_at", "-due_at", "title", "-title", "created_at", "title,-due_at", "nope"]
    )
    def test_gives_each_row_once_in_any_order_there_and_back(
        self, client: Client, todos: list[Todo], ordering: str, size: int
    ) -> None:
        url = f"/api/todos/?ordering={ordering}&page_size="
        all_at_once = ids([get(client, f"{url}200")])

        there = walk(client, get(client, f"{url}{size}"), "next")
        back = walk(client, there[-1], "previous")

        assert ids(there) == all_at_once
        assert ids(back[::-1]) == all_at_once
        assert set(all_at_once) == {str(todo.id) for todo in todos}

    def test_puts_what_is_never_due_last_and_settles_equals_by_id(
        self, client: Client, todos: list[Todo]
    ) -> None:
        dated = [todo for todo in todos if todo.due_at]
        never = [todo for todo in todos if not todo.due_at]
        soonest = sorted(dated, key=lambda todo: (todo.due_at, todo.id))

        first_due = ids([get(client, "/api/todos/?ordering=due_at")])
        last_due = ids([get(client, "/api/todos/?ordering=-due_at")])

        assert first_due == [str(todo.id) for todo in soonest + never]
        assert last_due == [str(todo.id) for todo in soonest[::-1] + never[::-1]]

    def test_follows_the_order_that_the_queryset_has(
        self, client: Client, todos: list[Todo]
    ) -> None:
        pages = walk(client, get(client, "/api/todos-by-title/?page_size=2"), "next")

        assert ids(pages) == ids([get(client, "/api/todos/?ordering=title")])

    def test_neither_doubles_nor_skips_when_rows_come_and_go(
        self, client: Client, todos: list[Todo]
    ) -> None:
        first = get(client, "/api/todos/?page_size=4")
        make_todos(3)
        Todo.objects.filter(id=ids([first])[-1]).delete()

        rest = walk(client, get(client, first["next"]), "next")

        assert ids(rest) == [str(todo.id) for todo in todos[6::-1]]

    def test_leads_back_from_a_page_whose_rows_are_gone(
        self, client: Client, todos: list[Todo]
    ) -> None:
        first = get(client, "/api/todos/?page_size=4")
        Todo.objects.exclude(id__in=ids([first])).delete()

        emptied = get(client, first["next"])

        back = get(client, emptied["previous"])
        assert emptied["results"] == []
        assert ids([back]) == ids([first])
        assert (back["previous"], back["next"]) == (None, None)

    def test_shows_page_controls_to_a_browser(self, client: Client, todos: list[Todo]) -> None:
        response = client.get("/api/todos/?page_size=4", headers={"Accept": "text/html"})

        assert 'rel="next"' in response.text


class TestCursor:
    @pytest.mark.parametrize(
        "cursor", ["", "x", "cD0xMA==", "%00", "1:2:3", "W2ZhbHNlLG51bGxd:a:b"]
    )
    def test_that_was_never_given_is_refused(self, client: Client, cursor: str) -> None:
        response = client.get(f"/api/todos/?cursor={cursor}")

        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "cursor"

    def test_of_another_order_or_list_is_refused(self, client: Client, todos: list[Todo]) -> None:
        cursor = get(client, "/api/todos/?page_size=4")["next"].split("?")[1]

        other_order = client.get(f"/api/todos/?{cursor}&ordering=title")
        other_list = client.get(f"/api/todos-by-title/?{cursor}")

        assert (other_order.status_code, other_list.status_code) == (400, 400)

    def test_that_carries_a_time_as_they_once_did_is_refused(
        self, client: Client, todos: list[Todo], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(pagination, "FORMAT", "")
            patch.setattr(signing, "Signer", signing.TimestampSigner)
            address = get(client, "/api/todos/?page_size=4")["next"]
            assert get(client, address)["results"]

        response = client.get(address)

        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "cursor"


class TestPageSize:
    def test_is_50_and_at_most_200(self, client: Client) -> None:
        make_todos(201)

        assert len(get(client, "/api/todos/")["results"]) == 50
        assert len(get(client, "/api/todos/?page_size=201")["results"]) == 200
        assert len(get(client, f"/api/todos/?page_size={10**30}")["results"]) == 200

    @pytest.mark.parametrize("size", ["0", "-1", "", "ten", "1.5", "%00"])
    def test_that_is_no_whole_number_from_1_is_refused(self, client: Client, size: str) -> None:
        response = client.get(f"/api/todos/?page_size={size}")

        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "page_size"
