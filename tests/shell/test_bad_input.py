"""Bad requests to every route: each is refused by a problem, and nothing is done."""

import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlencode
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connections, router
from django.test import Client
from django.urls import Resolver404, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from apps.counter import public as counter
from apps.users.models import Token, User
from apps.users.operations.deletions import request_deletion
from epis.api.description import schema
from tests.clients import client_of, send_json
from tests.conforming import CONVERTER, resolved
from tests.factories import UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

NUL, HALF = "a\0b", "a\ud800b"
LONG = "x" * 100_000
NOBODY = "01900000-0000-7000-8000-000000000000"
PASSWORD = "a long pass phrase"

# The addresses of the one who asks; the fields of each body; values that no field of it takes.
TEXT: list[Any] = [None, 5, True, ["x"], {"x": 1}, NUL, HALF, LONG]
NEEDED = [*TEXT, "", " "]
NAMES = [*NEEDED, "a b", "a/b", "<b>", "x" * 151]
MOMENTS = [5, True, [], "soon", "2031-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00"]
VERSIONS = [0, -1, "x", "1", 1.0, 1.5, True, None]
TODO: dict[str, list[Any]] = {
    "title": [*NEEDED, "x" * 201],
    "content": [None, 5, NUL, HALF],
    "category": [None, 5, NUL, "x" * 65],
    "tags": [None, "x", 5, {}, [None], [""], ["a", "a"], ["x" * 51], [NUL], ["x"] * 21],
    "due_at": MOMENTS,
    "completed": [None, "maybe", "true", 0, 1, 2, []],
    "visibility": [None, "", "secret", 5, []],
}
COUNTER: dict[str, list[Any]] = {
    "name": [*NEEDED, "x" * 201],
    "description": [None, 5, NUL, HALF],
    "visibility": [None, "", "secret", 5],
}
BODIES: dict[tuple[str, str], dict[str, list[Any]]] = {
    ("POST", "/api/users/"): {
        "username": NAMES,
        "password": [*TEXT, "", "short", "1234567890123", "password123"],
        "email": [*TEXT, "nobody", "a@b", "@example.com", f"{'x' * 250}@example.com"],
    },
    ("POST", "/api/user/create"): {
        "username": [None, "a b"],
        "password": [None, "short"],
        "email": ["nobody"],
    },
    ("PATCH", "/api/users/{user}/"): {"username": NAMES, "email": [5, "nobody", NUL]},
    ("PUT", "/api/users/{user}/"): {"username": [None, "", "a b", 5], "email": [[], "nobody"]},
    ("POST", "/api/users/me/password/"): {
        "password": [*TEXT, ""],
        "new_password": [*TEXT, ""],
        "keep_tokens": [None, "maybe", "true", 0, 1, 2, [], {}],
    },
    ("POST", "/api/auth/tokens/"): {
        "username": [*NEEDED, "x" * 151],
        "password": [*TEXT, ""],
        "name": [5, [], NUL, "x" * 101],
        "expires_in": [0, -1, 1.5, 60.0, True, "soon", "60", 10**30, [1]],
    },
    ("POST", "/api/auth/password-reset/"): {"username": NAMES},
    ("POST", "/api/auth/password-reset/{user}/x-y/"): {"new_password": [*TEXT, ""]},
    ("POST", "/api/todos/"): TODO,
    ("POST", "/api/todo/create"): TODO,
    ("PATCH", "/api/todos/{todo}/"): TODO,
    ("PUT", "/api/todos/{todo}/"): {**TODO, "version": VERSIONS},
    ("POST", "/api/todos/bulk/"): {
        "create": [*[None, 5, "x", {}, [5], [None], [{}]], [{"title": NUL}]],
        "update": [
            *[None, 5, "x", {}, [5], [{}], [{"id": 5}], [{"id": NUL}], [{"id": True}]],
            *[[{"id": NOBODY, "version": version}] for version in VERSIONS],
        ],
        "delete": [None, 5, "x", {}, [None], [5], [True], ["x"], [[]], [NUL]],
    },
    ("POST", "/api/counters/"): COUNTER,
    ("PATCH", "/api/counters/{counter}/"): COUNTER,
    ("POST", "/api/counters/{counter}/increments/"): {
        "amount": [0, 1.5, "1", None, True, 10**9 + 1, -(10**9) - 1, 10**400, [], {}],
        "key": [None, "", " ", "a b", "é", NUL, HALF, 5, [], "x" * 256],
    },
}
GOOD: dict[str, Any] = {
    "/api/users/": {"username": "newcomer", "password": PASSWORD},
    "/api/user/create": {"username": "newcomer", "password": PASSWORD},
    "/api/users/{user}/": {"username": "renamed"},
    "/api/users/me/password/": {"password": PASSWORD, "new_password": "another long one"},
    "/api/auth/tokens/": {"username": "ada", "password": PASSWORD},
    "/api/todos/": {"title": "x"},
    "/api/todo/create": {"title": "x"},
    "/api/todos/{todo}/": {"title": "x"},
    "/api/counters/": {"name": "x"},
    "/api/counters/{counter}/": {},
    "/api/todos/bulk/": {"create": [{"title": "good"}]},
}
# What else is wrong with a request: where it goes, in which query, with which status.
ADDRESSES = [
    *[("GET", f"/api/{kind}/{NOBODY}/", 404) for kind in ("users", "todos", "counters")],
    *[("GET", f"/api/{kind}/{NOBODY}/", 404) for kind in ("deletions", "auth/tokens")],
    *[("DELETE", f"/api/{kind}/{NOBODY}/", 404) for kind in ("users", "todos", "counters")],
    *[("POST", f"/api/deletions/{NOBODY}/{to}/", 404) for to in ("cancel", "pause", "resume")],
    *[("GET", f"/api/{kind}/x/", 404) for kind in ("users", "todos", "counters", "deletions")],
    *[("GET", f"/api/todos/{at}/", 404) for at in ("1", "%00", "%ff", "..", "null", "-1")],
    ("GET", f"/api/counters/{NOBODY}/increments/", 404),
    ("POST", f"/api/counters/{NOBODY}/increments/", 404),
    ("GET", f"/api/counters/{{counter}}/increments/{NOBODY}/", 404),
    ("GET", "/api/counters/{counter}/increments/?state=lost", 400),
    ("GET", "/api/counters/{counter}/increments/?key=%00", 400),
    *[("GET", f"/api/counters/{{counter}}/?at={at}", 400) for at in ("", "soon", "2999-01-01T00Z")],
    *[("GET", f"/api/{kind}/?page_size=0", 400) for kind in ("users", "todos", "counters")],
    *[("GET", f"/api/{kind}/?cursor=x", 400) for kind in ("users", "todos", "auth/tokens")],
    *[("GET", f"/api/todos/?{of}=soon", 400) for of in ("due_before", "created_after", "overdue")],
    *[("GET", f"/api/todos/?{of}=%00", 400) for of in ("search", "tag", "category", "username")],
    ("GET", "/api/todos/?ordering=password", 400),
    *[("GET", f"/api/todos/{of}/?cursor=x", 400) for of in ("tags", "categories")],
    *[("GET", f"/api/todos/changes/?{of}", 400) for of in ("since=x", "since=%00", "page_size=0")],
    *[("GET", f"/api/todos/{{todo}}/history/?{of}", 400) for of in ("cursor=x", "page_size=x")],
    ("GET", f"/api/todos/{NOBODY}/history/", 404),
    ("POST", f"/api/todos/{NOBODY}/restore/", 404),
    *[("POST", f"/api/todos/{{todo}}/history/{of}/restore/", 404) for of in (0, 9, 10**30, "x")],
    ("GET", "/api/todos/export/?format=xml", 404),
    ("POST", "/api/todos/import/?broken=maybe", 400),
    ("POST", "/api/auth/password-reset/x/y/", 404),
    *[("POST", f"/api/auth/password-reset/{NOBODY}/{code}/", 400) for code in ("x-y", "%00")],
    ("PUT", "/api/auth/password-reset/", 405),
    ("DELETE", "/api/auth/tokens/x/", 404),
    ("POST", "/api/users/{user}/", 405),
    ("PUT", "/api/counters/{counter}/", 405),
    ("POST", "/api/users/me/", 405),
    ("PATCH", "/api/auth/tokens/", 405),
    ("DELETE", "/api/todos/", 405),
    ("TRACE", "/api/todos/", 405),
    ("GET", "/api/user/create", 405),
]
SNAPSHOT = """
    SELECT '{table}', count(*), md5(coalesce(string_agg(row::text, '' ORDER BY row::text), ''))
    FROM {table} AS row
"""
NO_JSON = [b"", b"{", b"[", b"null", b"5", b'"x"', b"[]", b"\xff\xfe{}", b'{"a": NaN}', b"{}x"]
FILES = [
    *[("application/json", of) for of in (b"{", b"5", b"[5]", b"[{}]", b'[{"title": ""}]')],
    ("application/json", b'[{"title": "good"}, {"title": "bad", "due_at": "soon"}]'),
    ("application/json", b'[{"title": "a\\u0000b"}]'),
    ("application/json", b"\xff\xfe"),
    *[("text/csv", of) for of in (b"colour\nred\n", b"title\ngood\n\x00\n", b'title\n"x')],
]
MEDIA_TYPES = ["text/plain", "application/xml", "text/csv", "x", "application/octet-stream"]
POSTS = ["/api/users/", "/api/auth/tokens/", "/api/todos/", "/api/counters/"]


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    """Passwords cost little here, and forgotten ones are reset by mail."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.MAIL_IS_SENT = True


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada", password=PASSWORD)


@pytest.fixture
def client(ada: User) -> Client:
    return client_of(ada)


@pytest.fixture
def where(ada: User, client: Client) -> dict[str, Any]:
    counter_id: UUID = counter.open_counter(owner_id=ada.id, name="tally")
    todo = client.post("/api/todos/", {"title": "x"}).json()
    request_deletion(user_id=UserFactory.create().id)
    client.get("/api/users/me/")  # so that its token's last use is noted
    return {"user": ada.id, "counter": counter_id, "todo": todo["id"]}


def rows() -> dict[str, tuple[int, str]]:
    """Of each table how many rows there are, and a digest of them; one query for each database.

    But for how often an address has tried to sign in.
    """
    found: dict[str, tuple[int, str]] = {}
    for alias in EVERYWHERE:
        owned = [model for model in apps.get_models() if router.allow_migrate_model(alias, model)]
        tables = {model._meta.db_table for model in owned} - {"users_signintries"}
        each = [SNAPSHOT.format(table=table) for table in sorted(tables)]
        with connections[alias].cursor() as cursor:
            cursor.execute(" UNION ALL ".join(each))
            found |= {table: (number, digest) for table, number, digest in cursor.fetchall()}
    return found


def count(found: dict[str, tuple[int, str]]) -> int:
    return sum(number for number, _ in found.values())


def refused(response: Any, *statuses: int) -> dict[str, Any]:
    assert response.status_code in statuses, (response.status_code, response.content[:300])
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == response.status_code
    return problem


def route_of(address: str) -> str:
    """As the schema has it; the address itself where there is none."""
    try:
        return "/" + CONVERTER.sub(r"{\1}", resolve(unquote(address.partition("?")[0])).route)
    except Resolver404:
        return address


def written_fields() -> Iterator[tuple[str, str, str]]:
    """Method, route and name of each field in JSON."""
    for route, operations in schema()["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            described = resolved(content.get("application/json", {}).get("schema", {}))
            one = resolved(described.get("oneOf", [described])[0])  # or an array of such
            for name in one.get("properties", {}):
                yield method.upper(), route, name


def bad_bodies() -> Iterator[Any]:
    for (method, route), fields in BODIES.items():
        for name, values in fields.items():
            for number, value in enumerate(values):
                yield pytest.param(
                    method, route, name, value, id=f"{method} {route} {name}-{number}"
                )


BAD_BODIES = list(bad_bodies())


class TestTable:
    def test_is_long(self) -> None:
        others = len(NO_JSON) * 2 + len(MEDIA_TYPES) * 2 + len(FILES)
        assert len(BAD_BODIES) + len(ADDRESSES) + others >= 150

    def test_has_every_route(self, where: dict[str, Any]) -> None:
        tried = [path for _, path, _ in ADDRESSES] + [route for _, route in BODIES]
        found = [route_of(path.format(**where)) for path in tried]

        assert schema()["paths"].keys() - set(found) == set()

    def test_has_every_field_that_is_written(self, where: dict[str, Any]) -> None:
        tried = {
            (method, route_of(route.format(**where)), name)
            for (method, route), fields in BODIES.items()
            for name in fields
        }

        assert set(written_fields()) - tried == set()


class TestBadField:
    @pytest.mark.parametrize(("method", "route", "name", "value"), BAD_BODIES)
    def test_is_refused_by_name_and_nothing_is_done(
        self,
        client: Client,
        where: dict[str, Any],
        method: str,
        route: str,
        name: str,
        value: Any,
    ) -> None:
        before = rows()

        body = {**GOOD.get(route, {}), name: value}
        problem = refused(send_json(client, method, route.format(**where), body), 400)

        fields = {error["field"].partition("[")[0] for error in problem["errors"]}
        # Half a character is not JSON that can be read, so no field is at fault.
        assert fields == ({""} if value == HALF else {name})
        assert rows() == before


class TestBadRequest:
    @pytest.mark.parametrize(("method", "path", "status"), ADDRESSES)
    def test_is_a_problem_and_nothing_is_done(
        self, client: Client, where: dict[str, Any], method: str, path: str, status: int
    ) -> None:
        if "pause" in path or "resume" in path:
            User.objects.filter(id=where["user"]).update(is_staff=True)
        before = rows()

        refused(client.generic(method, path.format(**where)), status)

        assert rows() == before

    @pytest.mark.parametrize("path", POSTS[1:3])
    @pytest.mark.parametrize("body", NO_JSON)
    def test_is_refused_where_its_body_is_no_object(
        self, client: Client, where: dict[str, Any], path: str, body: bytes
    ) -> None:
        before = rows()

        refused(client.generic("POST", path, body, content_type="application/json"), 400)

        assert rows() == before

    @pytest.mark.parametrize(("media_type", "file"), FILES)
    def test_is_refused_where_its_file_is_broken(
        self, client: Client, where: dict[str, Any], media_type: str, file: bytes
    ) -> None:
        before = rows()

        refused(client.generic("POST", "/api/todos/import/", file, content_type=media_type), 400)

        assert rows() == before

    @pytest.mark.parametrize("path", POSTS[:2])
    @pytest.mark.parametrize("media_type", MEDIA_TYPES)
    def test_is_refused_in_what_is_not_read(
        self, client: Client, where: dict[str, Any], path: str, media_type: str
    ) -> None:
        before = rows()

        refused(client.generic("POST", path, b"{}", content_type=media_type), 415)

        assert rows() == before

    @pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
    @pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
    def test_is_refused_where_its_body_is_compressed(
        self, client: Client, where: dict[str, Any], kind: str, coding: str
    ) -> None:
        path = "/api/counters/{counter}/increments/".format(**where)
        before = rows()

        response = client.generic(
            "POST",
            path,
            gzip.compress(b"amount=1000"),
            content_type=kind,
            headers={"Content-Encoding": coding},
        )

        refused(response, 415)
        assert response["Accept-Encoding"] == "identity"
        assert rows() == before

    @pytest.mark.parametrize("body", ['{"amount": 5}', ' [{"amount": 5}]', '{"key": "a=b&c"}'])
    def test_is_refused_where_it_is_json_that_is_sent_as_a_form(
        self, client: Client, where: dict[str, Any], body: str
    ) -> None:
        path = "/api/counters/{counter}/increments/".format(**where)
        before = rows()

        sent = client.generic("POST", path, body, content_type="application/x-www-form-urlencoded")

        assert "application/json" in refused(sent, 400)["detail"]
        assert rows() == before

    @pytest.mark.parametrize(
        "nested",
        ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900],
        ids=["lists", "objects"],
    )
    @pytest.mark.parametrize("accept", ["application/json", "text/html"])
    def test_is_refused_where_it_is_deeper_than_a_page_can_show(
        self, client: Client, where: dict[str, Any], nested: str, accept: str
    ) -> None:
        response = client.generic(
            "POST",
            "/api/todos/",
            f'{{"title": {nested}}}',
            content_type="application/json",
            headers={"Accept": accept},
        )

        assert response.status_code == 400
        assert "nested too deeply" in response.text

    @pytest.mark.parametrize("coding", ["", "identity", "Identity "])
    def test_is_taken_where_its_body_is_as_it_is(
        self, client: Client, where: dict[str, Any], coding: str
    ) -> None:
        response = client.post("/api/todos/", {"title": "x"}, headers={"Content-Encoding": coding})

        assert response.status_code == 201

    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_is_led_to_the_address_with_its_slash_as_it_is(
        self, client: Client, where: dict[str, Any], method: str
    ) -> None:
        led = client.generic(method, "/api/todos?x=1")
        assert (led.status_code, led["Location"]) == (308, "/api/todos/?x=1")

    @pytest.mark.parametrize("path", ["/api/todos/", "/api/users/", "/api/counters/"])
    def test_is_refused_where_nothing_that_is_accepted_is_made(
        self, client: Client, where: dict[str, Any], path: str
    ) -> None:
        refused(client.get(path, headers={"Accept": "image/png"}), 406)

    @pytest.mark.parametrize("charset", ["utf-7", "rot13", "utf-16", "nonsense"])
    def test_is_read_as_utf8_whatever_it_says_it_is(
        self, client: Client, where: dict[str, Any], charset: str
    ) -> None:
        kind = f"application/json; charset={charset}"

        response = client.generic("POST", "/api/todos/", b'{"title": "x"}', content_type=kind)

        assert response.status_code in (201, 400, 415)

    @pytest.mark.parametrize(
        "secret", ["", "x", "Bearer", "Bearer ", "Bearer a b", "Basic eDp5", "Bearer \xff"]
    )
    def test_is_refused_with_what_lets_nobody_in(self, secret: str) -> None:
        response = Client().get("/api/users/me/", headers={"Authorization": secret})

        assert refused(response, 401)
        assert response["WWW-Authenticate"] == "Bearer"


few = settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
anything = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats(allow_nan=False)
    | some.text(max_size=30),
    lambda each: some.lists(each, max_size=3) | some.dictionaries(some.text(max_size=5), each),
    max_leaves=5,
)


class TestAnyField:
    """Whatever a field is given, it is taken or refused, and never a fault of ours."""

    @pytest.mark.parametrize(("method", "route"), BODIES)
    def test_is_taken_or_refused(
        self, client: Client, where: dict[str, Any], method: str, route: str
    ) -> None:
        fields = BODIES[method, route]
        address = route.format(**where)
        sent = some.fixed_dictionaries(
            {}, optional={name: anything | some.sampled_from(fields[name]) for name in fields}
        )

        @given(body=sent)
        @few
        def send(body: dict[str, Any]) -> None:
            before = count(rows())

            response = client.generic(
                method, address, json.dumps(body), content_type="application/json"
            )

            if response.status_code >= 300:
                refused(response, 400, 401, 409, 412, 422, 428, 429)
                assert count(rows()) == before

        send()
        assert Token.objects.filter(user_id=where["user"]).exists()


def parameters() -> dict[str, list[str]]:
    """Of the query, by the route that reads them."""
    found = {}
    for route, operations in schema()["paths"].items():
        known = operations.get("get", {}).get("parameters", [])
        found[route] = [each["name"] for each in known if each["in"] == "query"]
    return {route: names for route, names in found.items() if names}


class TestAnyParameter:
    """Whatever a parameter is given, it is taken or refused, and never a fault of ours."""

    def test_is_taken_or_refused(self, client: Client, where: dict[str, Any]) -> None:
        known = parameters()
        value = some.text(max_size=30) | some.integers().map(str) | some.datetimes().map(str)

        @given(data=some.data())
        @settings(few, max_examples=300)
        def ask(data: some.DataObject) -> None:
            route = data.draw(some.sampled_from(sorted(known)))
            given = some.fixed_dictionaries({}, optional=dict.fromkeys(known[route], value))
            query = urlencode(data.draw(given), errors="replace")
            owned = "todo" if route.startswith("/api/todos/") else "counter"
            address = route.format(id=where[owned], counter_id=where["counter"])

            response = client.get(f"{address}?{query}")

            if response.status_code != 200:
                refused(response, 400, 404)

        ask()
        assert len(known) > 10
