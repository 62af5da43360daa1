"""Every error under /api/ is a problem, and nothing that a client sends is a 500."""

import io
import time
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from epis.wsgi import utf8_only

pytestmark = pytest.mark.urls("tests.shell.routes")

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def problem(response: HttpResponse | Any) -> dict[str, Any]:
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert {"type", "title", "detail", "code"} <= body.keys()
    return body


def fields(response: HttpResponse | Any) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in problem(response)["errors"]]


class TestRefusal:
    @pytest.mark.parametrize(
        ("way", "status", "code"),
        [
            ("not-found", 404, "not_found"),
            ("invalid", 400, "invalid"),
            ("forbidden", 403, "permission_denied"),
            ("conflict", 409, "conflict"),
            ("stale", 412, "stale"),
            ("precondition-required", 428, "precondition_required"),
            ("key-reused", 422, "key_reused"),
            ("too-many-tries", 429, "throttled"),
            ("http404", 404, "not_found"),
            ("permission-denied", 403, "permission_denied"),
            ("django-invalid", 400, "invalid"),
            ("suspicious", 400, "bad_request"),
            ("too-big", 413, "content_too_large"),
            ("nul", 400, "bad_request"),
            ("database-gone", 503, "service_unavailable"),
            ("connection-closed", 503, "service_unavailable"),
            ("transaction-froze", 503, "service_unavailable"),
            ("throttled", 429, "throttled"),
            ("wrong-credentials", 401, "authentication_failed"),
            ("unauthenticated", 401, "not_authenticated"),
            ("bug", 500, "internal_server_error"),
        ],
    )
    def test_has_its_status_and_code(
        self, client: Client, way: str, status: int, code: str
    ) -> None:
        response = client.get(f"/api/fail/{way}/")

        assert (response.status_code, problem(response)["code"]) == (status, code)
        assert "secret" not in response.text

    @pytest.mark.parametrize(
        ("way", "title"),
        [("too-big", "Content Too Large"), ("key-reused", "Unprocessable Content")],
    )
    def test_has_the_same_title_on_every_python(self, client: Client, way: str, title: str) -> None:
        assert problem(client.get(f"/api/fail/{way}/"))["title"] == title

    def test_names_the_field_that_an_app_refuses(self, client: Client) -> None:
        response = client.get("/api/fail/invalid/")

        assert problem(response)["errors"] == [
            {"field": "colour", "code": "invalid", "message": "No such colour."}
        ]

    def test_tells_its_context_but_not_over_the_standard_members(self, client: Client) -> None:
        body = problem(client.get("/api/fail/stale/"))

        assert body["current"] == {"version": 7}
        assert body["status"] == 412

    @pytest.mark.parametrize(
        ("way", "seconds"),
        [
            ("too-many-tries", "41"),
            ("throttled", "7"),
            ("database-gone", "2"),
        ],
    )
    def test_says_when_to_try_again(self, client: Client, way: str, seconds: str) -> None:
        assert client.get(f"/api/fail/{way}/")["Retry-After"] == seconds

    @pytest.mark.parametrize("way", ["wrong-credentials", "unauthenticated"])
    def test_says_how_to_sign_in(self, client: Client, way: str) -> None:
        assert client.get(f"/api/fail/{way}/")["WWW-Authenticate"] == "Bearer"


class TestBadInput:
    def post(self, client: Client, plan: Any) -> HttpResponse | Any:
        return client.post("/api/plans/", plan, content_type="application/json")

    def test_names_nested_fields_and_list_items(self, client: Client) -> None:
        response = self.post(
            client,
            {
                "name": 5 * "long",
                "tags": ["ok", "long"],
                "steps": [{"title": "a"}, {"title": "no"}],
            },
        )

        assert fields(response) == [
            ("name", "max_length"),
            ("tags[1]", "max_length"),
            ("steps[1].title", "taken"),
        ]

    def test_gives_what_concerns_the_whole_an_empty_field(self, client: Client) -> None:
        assert fields(self.post(client, {"name": "all"})) == [("", "whole")]
        assert fields(self.post(client, [])) == [("", "invalid")]

    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "",
            "\x00",
            "[" * 100_000,
            "1" * 5_000,
            "NaN",
            '{"name": "\\u0000"}',
            '{"name": "a", "kind": "\\ud800"}',
        ],
        ids=["open", "empty", "nul", "deep", "long-number", "nan", "nul-inside", "surrogate"],
    )
    def test_is_400_where_the_body_is_no_plan(self, client: Client, body: str) -> None:
        assert fields(self.post(client, body))

    def test_is_415_in_a_format_that_is_not_taken(self, client: Client) -> None:
        response = client.generic("POST", "/api/plans/", b"a,b", content_type="text/csv")

        assert problem(response)["status"] == 415

    def test_is_413_where_the_body_is_too_large(self, client: Client, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

        as_json = self.post(client, {"name": "longer than ten"})
        as_file = client.post("/api/plans/", {"file": io.BytesIO(b"longer than ten")})

        assert problem(as_json)["status"] == 413
        assert problem(as_file)["status"] == 413


class TestUnknownAddress:
    @pytest.mark.parametrize("path", ["nothing/", "nothing", "%00/", "%ff%fe/", "../../etc/"])
    def test_is_a_problem(self, client: Client, path: str) -> None:
        assert problem(client.get(f"/api/{path}"))["status"] == 404

    def test_is_a_page_for_a_browser(self, client: Client) -> None:
        response = client.get("/api/nothing/", headers=BROWSER)

        assert response.status_code == 404
        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert "There is nothing at this address." in response.text


class TestEdge:
    @pytest.mark.parametrize("accept", ["", "*/*", "application/json", "nonsense", "a/b;q=x,,"])
    def test_tells_problems_to_whoever_does_not_ask_for_html(
        self, client: Client, accept: str
    ) -> None:
        problem(client.get("/api/nothing/", headers={"Accept": accept}))

    def test_refuses_what_cannot_be_accepted(self, client: Client) -> None:
        response = client.get("/api/plans/", headers={"Accept": "image/png"})

        assert problem(response)["status"] == 406

    def test_refuses_a_method_and_names_the_ones_it_takes(self, client: Client) -> None:
        in_drf = client.delete("/api/plans/")
        outside = client.delete("/api/auth/logout/")

        assert (problem(in_drf)["status"], problem(outside)["status"]) == (405, 405)
        assert "POST" in in_drf["Allow"]
        assert "POST" in outside["Allow"]

    def test_refuses_an_unknown_host(self, client: Client) -> None:
        response = client.get("/api/plans/", headers={"Host": "evil.example"})

        assert problem(response)["status"] == 400

    def test_refuses_too_many_fields(self, client: Client) -> None:
        response = client.get("/api/plans/?" + "a&" * 1_001)

        assert problem(response)["status"] == 400

    def test_refuses_a_form_without_its_csrf_token(self) -> None:
        client = Client(enforce_csrf_checks=True)

        response = client.post("/api/auth/login/", {"username": "ada"})

        assert problem(response)["code"] == "permission_denied"
        assert problem(response)["detail"].startswith("CSRF failed")

    @pytest.mark.parametrize(
        ("way", "status"),
        [("bug", 500), ("database-gone", 503), ("nul", 400), ("too-many-tries", 429)],
    )
    def test_tells_what_failed_outside_of_drf(self, client: Client, way: str, status: int) -> None:
        response = client.get(f"/api/fail-outside/{way}/")

        assert problem(response)["status"] == status
        assert "secret" not in response.text

    def test_does_not_take_a_refusal_outside_of_drf_for_a_fault(self) -> None:
        client = Client(raise_request_exception=True)

        assert client.get("/api/fail-outside/too-many-tries/")["Retry-After"] == "41"


class TestUtf8Only:
    @pytest.mark.parametrize(
        "parameter",
        ["charset=rot13", 'CharSet="hex"', "charset*=utf-8''idna", "x*=no-such''%41", "c*0=a"],
    )
    def test_reads_utf_8_whatever_a_header_names(self, parameter: str) -> None:
        environ = {
            **RequestFactory().get("/?a=%C3%A9").environ,
            "CONTENT_TYPE": f"application/json; {parameter}",
            "HTTP_ACCEPT": f"text/html; {parameter}, application/json; {parameter}",
        }

        request = request_behind_utf8_only(environ)

        assert request.GET["a"] == "é"
        assert request.content_type == "application/json"
        assert request.accepts("application/json")

    @pytest.mark.parametrize("said", [";*", ";charset", "*", "charset", ";", ";*=*", ";a"])
    def test_is_quick_whatever_a_header_says(self, said: str) -> None:
        header = "a/b;" + said * (40_000 // len(said))
        environ = {**RequestFactory().get("/").environ, "HTTP_ACCEPT": header}
        began = time.thread_time()

        utf8_only(lambda *_: [])(environ, print)

        assert time.thread_time() - began < 0.5  # else some seconds, and minutes for a longer one


def request_behind_utf8_only(environ: dict[str, Any]) -> WSGIRequest:
    requests = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        requests.append(WSGIRequest(environ))
        return []

    utf8_only(application)(environ, print)
    return requests[0]


class TestBrowser:
    def test_gets_the_browsable_page_with_the_problem(self, client: Client) -> None:
        response = client.get("/api/fail/conflict/", headers=BROWSER)

        assert response.status_code == 409
        assert response["Content-Type"].startswith("text/html")
        assert "The thing is not in a state that allows this." in response.text

    def test_gets_the_form_back_with_each_message_at_its_field(self, client: Client) -> None:
        response = client.post("/api/plans/", {"name": "too long"}, headers=BROWSER)

        form = response.text.split("post-object-form", 2)[2]
        assert response.status_code == 400
        assert "no more than 5 characters" in form
        assert 'value="too long"' in form

    def test_gets_a_page_for_a_fault(self, client: Client) -> None:
        response = client.get("/api/fail/bug/", headers=BROWSER)

        assert response.status_code == 500
        assert "It has been logged." in response.text
