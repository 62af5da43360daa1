"""Every route, method and role, as docs/roles.md says. What is not in it fails here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, include, path, reverse
from django.urls.resolvers import RegexPattern
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.users.models import Deletion, Token
from apps.users.operations.deletions import request_deletion
from apps.users.operations.signing_in import issue_token
from tests.clients import anonymous, client_of, send_json
from tests.factories import PASSWORD, UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

TABLE = Path(__file__).resolve().parents[2] / "docs" / "roles.md"
ROLES = ["anonymous", "owner", "other", "staff", "closed", "revoked"]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
ROW = re.compile(r"^\| `([^`]+)`(?:, (\w+))? \| (\w+) \| (.+) \|$", re.MULTILINE)
NEW = {"username": "newcomer", "password": PASSWORD}
NEED_A_PASSWORD = ["/api/auth/tokens/", "/api/users/me/password/"]
STATE_FOR = {
    "/api/deletions/{id}/pause/": Deletion.State.RUNNING,
    "/api/deletions/{id}/resume/": Deletion.State.PAUSED,
}


@dataclass(frozen=True)
class Cell:
    route: str
    visibility: str
    method: str
    role: str
    status: int

    def __str__(self) -> str:
        return f"{self.method} {self.route} {self.visibility} {self.role}"


def cells() -> Iterator[Cell]:
    for route, visibility, method, statuses in ROW.findall(TABLE.read_text()):
        for role, status in zip(ROLES, statuses.split(" | "), strict=True):
            yield Cell(route, visibility, method, role, int(status))


CELLS = list(cells())


def routes(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Every route below the resolver, but for those of the admin."""
    for each in resolver.url_patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield CONVERTER.sub(r"{\1}", route)
        elif route != "/admin/":
            yield from routes(each, route)


ROUTES = sorted(set(routes(get_resolver("epis.urls"))))


class World:
    """Somebody with one of everything, and whoever looks at it."""

    def __init__(self, route: str, visibility: str = "") -> None:
        # Hashing one takes longer than all the rest.
        self.password = PASSWORD if route in NEED_A_PASSWORD else None
        self.owner = UserFactory.create(username="owner", password=self.password)
        visibility = visibility or "private"
        self.counter = counter.open_counter(owner_id=self.owner.id, name="tally")
        counter.increment(counter_id=self.counter, owner_id=self.owner.id)
        theirs = client_of(self.owner)
        theirs.patch(f"/api/counters/{self.counter}/", {"visibility": visibility})
        self.receipt = theirs.get(f"/api/counters/{self.counter}/increments/").json()["results"][0]
        self.todo = theirs.post("/api/todos/", {"title": "x", "visibility": visibility}).json()
        if route == "/api/todos/{id}/restore/":
            theirs.delete(f"/api/todos/{self.todo['id']}/")
        self.token, _ = issue_token(user_id=self.owner.id)
        self.deletion = request_deletion(user_id=UserFactory.create(username="leaver").id)

    def client(self, role: str) -> APIClient:
        if role == "anonymous":
            return anonymous()
        if role == "other":
            return client_of(UserFactory.create(username="other", password=self.password))
        if role == "staff":
            return client_of(UserFactory.create(username="staff", is_staff=True))
        client = client_of(self.owner)
        if role == "closed":
            request_deletion(user_id=self.owner.id)
        if role == "revoked":
            Token.objects.filter(user=self.owner).exclude(id=self.token.id).delete()
        return client

    def ids(self, route: str) -> dict[str, Any]:
        of = {
            "/api/auth/tokens/": self.token.id,
            "/api/users/": self.owner.id,
            "/api/deletions/": self.deletion.id,
            "/api/todos/": self.todo["id"],
            "/api/counters/{id}/": self.counter,
            "/api/counters/{counter_id}/": self.receipt["id"],
        }
        ids = [known for start, known in of.items() if route.startswith(start)]
        return {
            "id": ids[0] if ids else "",
            "counter_id": self.counter,
            "user_id": self.owner.id,
            "code": "d2x-0f3a",
            "version": 1,
        }


def body_for(route: str) -> Any:
    bodies: dict[str, Any] = {
        "/api/auth/tokens/": {"username": "owner", "password": PASSWORD},
        "/api/auth/password-reset/": {"username": "owner"},
        "/api/auth/password-reset/{user_id}/{code}/": {"new_password": "another long one"},
        "/api/users/": NEW,
        "/api/user/create": NEW,
        "/api/users/me/password/": {"password": PASSWORD, "new_password": "another long one"},
        "/api/users/{id}/": {"username": "renamed"},
        "/api/todos/": {"title": "y"},
        "/api/todo/create": {"title": "y"},
        "/api/todos/import/": [{"title": "y"}],
        "/api/todos/{id}/": {"title": "y", "version": 1},
        "/api/counters/": {"name": "another"},
        "/api/counters/{id}/": {"name": "renamed"},
        "/api/counters/{counter_id}/increments/": {},
    }
    return bodies.get(route, {})


def ask(world: World, route: str, method: str, role: str) -> Any:
    client = world.client(role)
    Deletion.objects.filter(id=world.deletion.id).update(
        state=STATE_FOR.get(route, Deletion.State.SCHEDULED)
    )
    address = route.format(**world.ids(route))
    if route.startswith("/api/auth/log"):  # pages with forms
        return client.generic(method, address)
    return send_json(client, method, address, body_for(route))


class TestTable:
    def test_has_every_route(self) -> None:
        listed = {cell.route for cell in CELLS}

        assert sorted(listed) == ROUTES

    @pytest.mark.parametrize("cell", CELLS, ids=str)
    def test_is_true(self, cell: Cell, settings: Any) -> None:
        settings.MAIL_IS_SENT = True

        response = ask(World(cell.route, cell.visibility), cell.route, cell.method, cell.role)

        assert response.status_code == cell.status, response.content

    @pytest.mark.parametrize("route", ROUTES)
    def test_has_every_method(self, route: str) -> None:
        """What it does not have is not done for anyone, staff neither."""
        listed = {cell.method for cell in CELLS if cell.route == route}
        world = World(route)

        for method in METHODS:
            if method not in listed:
                for role in ("anonymous", "owner"):
                    response = ask(world, route, method, role)
                    refused = (403, 405) if role == "owner" else (401, 405)
                    assert response.status_code in refused, (method, role, response.content)

    @pytest.mark.parametrize("route", ROUTES)
    def test_opens_as_a_page(self, route: str, settings: Any) -> None:
        """Also where nothing is to be read, for the form. `tests.pages` looks at each."""
        settings.MAIL_IS_SENT = True
        world = World(route)
        browser = Client(headers={"Accept": "text/html"})
        browser.force_login(world.owner)

        page = browser.get(route.format(**world.ids(route)))

        is_read = any((cell.route, cell.method) == (route, "GET") for cell in CELLS)
        assert page.status_code in ([200, 406] if is_read else [403, 405])

    def test_would_miss_a_route(self) -> None:
        planted = path("deep/", include([path("planted/<uuid:id>/", index)]))

        assert list(routes(URLResolver(RegexPattern(""), [planted]))) == ["/deep/planted/{id}/"]


def index(request: HttpRequest, id: UUID) -> HttpResponse:
    return HttpResponse()


def admin_pages() -> Iterator[str]:
    yield from ("admin:index", "admin:password_change")
    for pages in admin.site._registry.values():
        for each in pages.get_urls():
            if each.name and each.name.endswith(("_changelist", "_add")):
                yield f"admin:{each.name}"
    for label in sorted({model._meta.app_label for model in admin.site._registry}):
        yield f"admin:app_list {label}"


def signed_in(**flags: bool) -> Client:
    browser = Client(raise_request_exception=False)
    browser.force_login(UserFactory.create(**flags))
    return browser


class TestAdmin:
    @pytest.mark.parametrize("pages", admin.site._registry.values(), ids=str)
    def test_has_whoever_may_only_look_do_nothing(self, pages: Any, rf: RequestFactory) -> None:
        onlooker = UserFactory.create(is_staff=True)
        onlooker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        request = rf.get("/")
        request.user = onlooker

        assert pages.get_actions(request) == {}
        assert not pages.has_add_permission(request)
        assert not pages.has_change_permission(request)
        assert not pages.has_delete_permission(request)

    @pytest.mark.parametrize("page", list(admin_pages()))
    def test_is_for_staff_by_their_permissions_and_for_superusers(self, page: str) -> None:
        name, _, label = page.partition(" ")
        where = reverse(name, args=[label] if label else [])
        is_open_to_staff = name in ("admin:index", "admin:password_change")

        nobody, ordinary = Client().get(where), signed_in().get(where)
        staff = signed_in(is_staff=True).get(where)
        superuser = signed_in(is_staff=True, is_superuser=True).get(where)

        assert (nobody.status_code, ordinary.status_code) == (302, 302)
        assert nobody["Location"] == ordinary["Location"] == f"/admin/login/?next={where}"
        assert staff.status_code in ([200] if is_open_to_staff else [403, 404])
        # Of what is only to be looked at, nothing can be added.
        assert superuser.status_code == 200 or (
            name.endswith("_add") and superuser.status_code == 403
        )
