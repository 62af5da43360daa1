"""Whatever is sent, it is taken and kept as it was, or refused by name: never a fault of ours."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clients import send_json
from tests.todos.conftest import TODOS, Client, address_of

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

# The people and their databases are made once for all the examples of a test.
few = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# Every kind of character: NUL, halves of characters, what takes four bytes, what joins. Of a
# million characters one of these is seldom drawn, so half of the texts are given one.
any_text = st.text(st.characters(exclude_categories=[]), max_size=30)
odd = st.sampled_from(["\0", "\udfff", "\U0001f95b", "\u0301", "\u200d", "\ufdfa"])
texts = (any_text | st.tuples(any_text, odd, any_text).map("".join)).map(
    lambda text: json.loads(json.dumps(text))  # where two halves are one character
)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

FIELDS: dict[str, Any] = {
    "title": texts,
    "content": texts,
    "category": texts,
    "tags": st.lists(texts, max_size=3),
    "due_at": st.sampled_from(["2031-05-01T08:30:00Z", "soon", ""]),
    "completed": st.booleans(),
    "visibility": st.sampled_from(["private", "public", "secret"]),
}
bodies = st.fixed_dictionaries(
    {}, optional={name: some | some | some | anything for name, some in FIELDS.items()}
)


def is_taken(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def raw(client: Client, method: str, path: str, body: Any) -> Any:
    """As JSON with everything escaped: so also halves of characters arrive."""
    return client.generic(method, path, json.dumps(body), content_type="application/json")


class TestText:
    @few
    @given(title=texts, content=texts, category=texts)
    def test_comes_back_as_it_was_or_is_refused(
        self, ada: Client, title: str, content: str, category: str
    ) -> None:
        sent = {"title": title, "content": content, "category": category}

        response = raw(ada, "POST", TODOS, sent)

        assert response.status_code in (201, 400), response.text
        fields = {"title": title.strip(), "content": content, "category": category.strip()}
        should = all(map(is_taken, fields.values())) and fields["title"]
        if response.status_code == 201:
            assert should
            todo = ada.get(address_of(response.json())).json()
            assert {name: todo[name] for name in fields} == fields
        else:
            assert not should

    @few
    @given(text=words)
    def test_is_found_by_its_words(self, ada: Client, text: str) -> None:
        response = ada.post(TODOS, {"title": "Note", "content": text})
        assert response.status_code == 201, response.text

        found = ada.get(TODOS, {"search": text})

        assert found.status_code == 200, found.text
        if text.split():
            ids = [todo["id"] for todo in found.json()["results"]]
            assert response.json()["id"] in ids

    @few
    @given(text=texts)
    def test_is_searched_for_whatever_it_is(self, ada: Client, text: str) -> None:
        if is_taken(text):
            response = ada.get(TODOS, {"search": text})
            assert response.status_code in (200, 400)


class TestBody:
    @few
    @given(body=anything)
    def test_is_created_or_refused(self, ada: Client, body: Any) -> None:
        assert raw(ada, "POST", TODOS, body).status_code in (201, 400)

    @few
    @given(body=bodies)
    def test_is_taken_alone_as_in_a_bulk(self, ada: Client, body: dict[str, Any]) -> None:
        alone = raw(ada, "POST", TODOS, body)
        in_bulk = raw(ada, "POST", f"{TODOS}bulk/", {"create": [body]})

        assert (alone.status_code, in_bulk.status_code) in [(201, 200), (400, 400)]
        if alone.status_code == 201:
            (other,) = in_bulk.json()["results"]
            todo = alone.json()
            assert {name: todo[name] for name in FIELDS} == {name: other[name] for name in FIELDS}

    @few
    @given(value=anything, name=st.sampled_from(["title", "tags", "due_at", "completed"]))
    def test_is_changed_or_refused(self, ada: Client, value: Any, name: str) -> None:
        todo = ada.add()

        response = raw(ada, "PATCH", address_of(todo), {name: value})

        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert ada.get(address_of(todo)).json() == todo

    @few
    @given(
        body=st.fixed_dictionaries(
            {}, optional=dict.fromkeys(["create", "update", "delete"], anything)
        )
    )
    def test_in_bulk_is_done_or_refused(self, ada: Client, body: Any) -> None:
        before = ada.list()

        response = raw(ada, "POST", f"{TODOS}bulk/", body)

        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert ada.list() == before

    @few
    @given(body=st.binary(max_size=80), kind=st.sampled_from(["application/json", "text/csv"]))
    def test_is_imported_or_refused(self, ada: Client, body: bytes, kind: str) -> None:
        response = ada.generic("POST", f"{TODOS}import/", body, content_type=kind)

        assert response.status_code in (200, 400)


class TestTags:
    @few
    @given(
        tags=st.lists(st.sampled_from(["shop", "Shop", "SHOP", " shop ", "\u017fhop", "집", ""]))
    )
    def test_doubled_are_refused_and_those_that_differ_in_case_are_two(
        self, ada: Client, tags: list[str]
    ) -> None:
        response = ada.post(TODOS, {"title": "x", "tags": tags})

        clean = [tag.strip() for tag in tags]
        if len(set(clean)) == len(clean) and "" not in clean:
            assert response.json()["tags"] == clean
        else:
            assert response.status_code == 400


class TestTimes:
    @few
    @given(
        text=st.datetimes().map(str)
        | st.datetimes().map(lambda time: f"{time.isoformat()}+14:00")
        | st.from_regex(r"[0-9]{1,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(Z|-14:00)", fullmatch=True)
        | texts.filter(is_taken)
    )
    def test_out_of_range_are_refused(self, ada: Client, text: str) -> None:
        created = ada.post(TODOS, {"title": "x", "due_at": text})
        narrowed = ada.get(TODOS, {"due_before": text})

        assert created.status_code in (201, 400)
        assert narrowed.status_code in (200, 400)
        if created.status_code == 201:
            assert ada.get(created["Location"]).status_code == 200


class TestCursor:
    @few
    @given(cursor=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
    @pytest.mark.parametrize(("path", "name"), [("", "cursor"), ("changes/", "since")])
    def test_that_is_forged_is_refused(
        self, ada: Client, path: str, name: str, cursor: str
    ) -> None:
        assert ada.get(f"{TODOS}{path}", {name: cursor}).status_code == 400

    @few
    @given(data=st.data())
    def test_with_one_character_changed_is_refused(self, ada: Client, data: st.DataObject) -> None:
        if not ada.list():
            for number in range(3):
                ada.add(f"{number}")
        address = ada.get(TODOS, {"page_size": 1}).json()["next"]
        cursor = address.partition("cursor=")[2].partition("&")[0]
        place = data.draw(st.integers(0, len(cursor) - 1))
        other = data.draw(st.sampled_from("abcXYZ019_-").filter(lambda each: each != cursor[place]))

        changed = cursor[:place] + other + cursor[place + 1 :]
        response = ada.get(address.replace(cursor, changed))

        assert response.status_code in (200, 400)  # the last bits of base64 may say nothing
        if response.status_code == 200:
            assert response.json()["results"] == ada.get(address).json()["results"]

    @pytest.mark.parametrize(
        "other",
        [
            {},
            {"category": "b"},
            {"tag": "x"},
            {"search": "todo"},
            {"completed": "true"},
            {"category": "a", "overdue": "true"},
            {"category": "a", "deleted": "true"},
        ],
    )
    def test_of_another_filter_is_refused(self, ada: Client, other: dict[str, str]) -> None:
        for number in range(3):
            ada.add(f"todo {number}", category="a")
        address = ada.get(TODOS, {"category": "a", "page_size": 1}).json()["next"]
        (cursor,) = parse_qs(urlsplit(address).query)["cursor"]

        assert ada.get(TODOS, {**other, "cursor": cursor}).status_code == 400
        assert ada.get(TODOS, {"category": "a", "cursor": cursor}).status_code == 200


class TestIfMatch:
    @few
    @given(header=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
    @pytest.mark.parametrize("method", ["patch", "put", "delete"])
    def test_malformed_changes_nothing(self, ada: Client, method: str, header: str) -> None:
        todo = ada.add()
        if header.strip() in ("*", '"1"', "") or header.strip().startswith('"1-'):
            return
        body = None if method == "delete" else {"title": "Written"}

        response = getattr(ada, method)(address_of(todo), body, headers={"If-Match": header})

        assert response.status_code in (400, 412, 428)
        assert ada.get(address_of(todo)).json() == todo


class TestVersion:
    @few
    @given(version=st.integers(min_value=0))
    def test_that_never_was_is_not_found(self, ada: Client, version: int) -> None:
        todo = ada.add()

        response = ada.post(f"{address_of(todo)}history/{version}/restore/")

        assert response.status_code == (200 if version == 1 else 404)

    @few
    @given(version=anything)
    def test_of_a_replacement_is_the_one_there_is_or_nothing_is_done(
        self, ada: Client, version: Any
    ) -> None:
        todo = ada.add()

        response = send_json(ada, "PUT", address_of(todo), {"title": "x", "version": version})

        assert response.status_code in (200, 400, 412, 428)
        if response.status_code != 200:
            assert ada.get(address_of(todo)).json() == todo
