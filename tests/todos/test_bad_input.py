"""Input that cannot be taken: always a 400 that names the field, never a fault of the server."""

import json
from typing import Any

import pytest

from tests.todos.conftest import TODOS, Client, address_of, refused_fields

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

NUL = "a\0b"

BAD_VALUES: dict[str, list[Any]] = {
    "title": [None, "", " ", "x" * 201, NUL, 5, True, ["x"], {"x": 1}],
    "content": [None, "x" * 50_001, NUL, 5, []],
    "category": [None, "x" * 65, NUL, 5, {}],
    "tags": [None, "shop", 5, {}, ["a", "a"], ["a", " a "], [str(n) for n in range(21)]],
    "tags[1]": [None, "", " ", "x" * 51, NUL, 5, []],
    "due_at": [
        *["soon", "", 5, True, [], {}, NUL],
        *["2031-02-30T00:00:00Z", "2031-01-01T25:00:00Z"],
        *["10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z"],
        *["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
    ],
    "completed": [None, "maybe", 2, [], {}],
    "visibility": [None, "", "secret", 5, [], {}, NUL],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in BAD_VALUES for value in BAD_VALUES[name]]
)
class TestBadField:
    def test_is_refused_by_name(self, ada: Client, name: str, value: Any) -> None:
        todo = ada.add()
        bad = {"tags": ["good", value]} if name == "tags[1]" else {name: value}

        created = ada.post(TODOS, {"title": "Rest", **bad})
        patched = ada.patch(address_of(todo), bad)
        replaced = ada.put(address_of(todo), {"title": "Rest", "version": 1, **bad})

        assert refused_fields(created) == {name}
        assert refused_fields(patched) == {name}
        assert refused_fields(replaced) == {name}
        assert ada.get(address_of(todo)).json() == todo
        assert ada.list() == [todo["title"]]


class TestBadBody:
    @pytest.mark.parametrize("body", ["", "[]", "null", '"x"', "5", "[[", "{", '{"title": \ud800}'])
    def test_is_refused(self, ada: Client, body: str) -> None:
        raw = body.encode("utf-8", "surrogatepass")

        response = ada.generic("POST", TODOS, raw, content_type="application/json")

        assert response.status_code == 400

    @pytest.mark.parametrize("media_type", ["application/json", "text/html"])
    @pytest.mark.parametrize("name", ["title", "tags", "due_at", "visibility", "colour"])
    def test_is_refused_with_half_a_character(
        self, ada: Client, name: str, media_type: str
    ) -> None:
        response = ada.generic(
            "POST",
            TODOS,
            json.dumps({"title": "Rest", name: "a\ud800b"}),
            content_type="application/json",
            headers={"Accept": media_type},
        )

        assert response.status_code == 400
        assert ada.list() == []

    def test_names_every_field_at_once(self, ada: Client) -> None:
        response = ada.post(TODOS, {"title": "", "due_at": "soon", "tags": [""]})

        assert refused_fields(response) == {"title", "due_at", "tags[0]"}

    def test_may_be_as_long_as_it_says(self, ada: Client) -> None:
        longest = {
            "title": "題" * 200,
            "content": "字" * 50_000,
            "category": "類" * 64,
            "tags": [f"{number:0>50}" for number in range(20)],
        }

        todo = ada.add(**longest)

        assert {name: todo[name] for name in longest} == longest

    @pytest.mark.parametrize(
        "due_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2031-01-01T00:00:00.5Z"]
    )
    def test_may_be_due_whenever_there_is(self, ada: Client, due_at: str) -> None:
        todo = ada.add(due_at=due_at)

        assert ada.get(address_of(todo)).status_code == 200
        assert ada.list(ordering="due_at") == [todo["title"]]


class TestBadParameter:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("username", NUL),
            ("category", NUL),
            ("tag", NUL),
            ("tag", "x" * 51),
            ("search", NUL),
            ("search", "x" * 201),
            ("completed", "maybe"),
            ("completed", "2"),
            ("overdue", "soon"),
            ("overdue", NUL),
            ("due_before", "soon"),
            ("due_after", "2031-02-30"),
            ("created_before", NUL),
            ("created_after", "10000-01-01T00:00:00Z"),
            ("completed_before", "0"),
            ("completed_after", "null"),
            ("ordering", "colour"),
            ("ordering", "title,colour"),
            ("ordering", NUL),
            ("page_size", "0"),
            ("page_size", "many"),
            ("cursor", "forged"),
        ],
    )
    def test_is_refused_by_name(self, ada: Client, name: str, value: str) -> None:
        ada.add()

        assert refused_fields(ada.get(TODOS, {name: value})) == {name}

    @pytest.mark.parametrize(
        "name", ["username", "category", "tag", "search", "completed", "cursor"]
    )
    @pytest.mark.parametrize("raw", ["%ed%a0%80", "%ff%fe", "%"])
    def test_that_is_no_text_finds_nothing_or_is_refused(
        self, ada: Client, name: str, raw: str
    ) -> None:
        response = ada.get(f"{TODOS}?{name}={raw}")

        assert response.status_code in (200, 400)

    @pytest.mark.parametrize(
        "value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2031-01-01"]
    )
    @pytest.mark.parametrize("name", ["due_before", "created_after", "completed_before"])
    def test_may_be_any_time_there_is(self, ada: Client, name: str, value: str) -> None:
        response = ada.get(TODOS, {name: value})

        assert response.status_code == 200
