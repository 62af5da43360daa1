"""The front page, the API's root, its documentation, signing in and out, and the metrics."""

import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from apps.users.models import User
from epis.api import description, metrics
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=["default", "todos", "counter"])

PASSWORD = "a long enough one"


LOADED = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)=["\']?([^"\'\s>]+)')


@pytest.fixture
def ada() -> User:
    return User.objects.create_user(username="ada", password=PASSWORD)


class TestPages:
    @pytest.mark.parametrize(
        "path", ["/", "/api/", "/api/docs/", "/api/auth/login/", "/admin/login/"]
    )
    def test_load_nothing_from_elsewhere(self, client: Client, path: str) -> None:
        page = client.get(path, headers={"Accept": "text/html,*/*"})

        assert page.status_code == 200
        loaded = LOADED.findall(page.text)
        assert loaded
        assert [url for url in loaded if re.match(r"(https?:)?//", url)] == []

    def test_documentation_can_only_be_read(self, client: Client) -> None:
        asked = client.options("/api/docs/", headers={"Accept": "text/html"})

        assert asked.status_code == 405

    def test_front_page_leads_only_where_something_is(self, client: Client) -> None:
        links = re.findall(r'<a\s+href="([^"]+)"', client.get("/").text)

        answers = {link: client.get(link, follow=True).status_code for link in links}
        assert len(links) == 4
        assert set(answers.values()) == {200}

    def test_root_of_the_api_leads_only_where_something_is(self, client: Client, ada: User) -> None:
        client.force_login(ada)

        routes = client.get("/api/").json()

        answers = {name: client.get(url).status_code for name, url in routes.items()}
        assert {"users", "todos", "counters", "docs"} <= routes.keys()
        assert set(answers.values()) == {200}


class TestSigningIn:
    def test_signs_in_and_out_on_the_pages(self, client: Client, ada: User) -> None:
        form = {"username": "ada", "password": PASSWORD, "next": "/api/users/me/"}

        signed_in = client.post("/api/auth/login/", form)
        seen_in = client.get("/api/users/me/")
        asked = client.get("/api/auth/logout/")
        still_in = client.get("/api/users/me/")
        signed_out = client.post("/api/auth/logout/")
        seen_out = client.get("/api/users/me/")

        assert signed_in["Location"] == "/api/users/me/"
        assert (asked.status_code, seen_in.status_code, still_in.status_code) == (200, 200, 200)
        assert seen_out.status_code == 401
        assert signed_out["Clear-Site-Data"] == '"cache", "storage"'

    def test_leads_nowhere_outside(self, client: Client, ada: User) -> None:
        form = {"username": "ada", "password": PASSWORD, "next": "https://evil.example/"}

        assert client.post("/api/auth/login/", form)["Location"] == "/api/"

    def test_says_on_the_page_that_it_was_wrong(self, client: Client, ada: User) -> None:
        page = client.post("/api/auth/login/", {"username": "ada", "password": "wrong"})

        assert 'role="alert"' in page.text

    @pytest.mark.parametrize("path", ["/api/auth/login/", "/admin/login/"])
    def test_is_429_after_too_many_tries(
        self, client: Client, ada: User, settings: Any, path: str
    ) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 1
        form = {"username": "ada", "password": "wrong"}

        tries = [client.post(path, form) for _ in range(2)]

        assert [tried.status_code for tried in tries] == [200, 429]
        assert tries[1]["Retry-After"]


class TestSchema:
    def test_says_how_to_sign_in_and_what_errors_look_like(self, client: Client) -> None:
        schema = client.get("/api/schema/?format=json").json()

        operations = [operation for path in schema["paths"].values() for operation in path.values()]
        problem = {"$ref": "#/components/responses/Problem"}
        assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        assert all(operation["responses"]["default"] == problem for operation in operations)
        assert "errors" in schema["components"]["schemas"]["Problem"]["properties"]

    @pytest.mark.parametrize("form", ["", "?format=json"])
    def test_is_told_to_any_number_at_once(self, form: str) -> None:
        description._schema.cache_clear()
        description._written.cache_clear()

        answers = race(*[lambda: Client().get(f"/api/schema/{form}") for _ in range(4)])

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1

    @pytest.mark.parametrize("version", ["a%0d%0aX-Y:1", '"', "%ff", "1"])
    def test_takes_no_word_of_a_clients_into_its_headers(
        self, client: Client, version: str
    ) -> None:
        response = client.get(f"/api/schema/?version={version}")

        assert response.status_code == 200
        assert response["Content-Disposition"] == 'inline; filename="epis.yaml"'
        assert response["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"


class TestMetrics:
    def test_gives_figures_from_the_databases(self, client: Client) -> None:
        text = client.get("/metrics").text

        assert "epis_increments_pending 0.0" in text
        assert "epis_increments_set_aside 0.0" in text
        assert 'epis_feed_lag{app="todos"} 0.0' in text
        assert 'epis_collector_up{collector="feed"} 1.0' in text

    def test_gives_the_rest_when_one_cannot_be_read(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def database_is_gone() -> Any:
            raise OperationalError("gone")

        monkeypatch.setitem(metrics.COLLECTORS, "increments", database_is_gone)

        response = client.get("/metrics")

        assert response.status_code == 200
        assert 'epis_collector_up{collector="increments"} 0.0' in response.text
        assert 'epis_deletions{state="running"} 0.0' in response.text
