"""The settings as in production: what browsers are told, and what is refused."""

import json
from typing import Any

import pytest

from tests.test_settings import NAMED_SERVERS, complaints_about, run

ASK = """
import django, json
django.setup()
from django.test import Client
client = Client(headers={"Host": "epis.invalid"})
def told(response):
    cookies = {name: [bool(kept["secure"]), bool(kept["httponly"]), kept["samesite"]]
               for name, kept in response.cookies.items()}
    return [response.status_code, dict(response.headers), cookies]
print(json.dumps({
    "plain": told(client.get("/")),
    "plain_api": told(client.get("/api/users/me/", headers={"Authorization": "Bearer x"})),
    "plain_health": told(client.get("/health/live")),
    "secure": told(client.get("/api/auth/login/", headers={"X-Forwarded-Proto": "https"})),
    "elsewhere": told(client.get("/api/", headers={"Host": "evil.example"}, secure=True)),
}))
"""
CONFIGURED = """
from django.conf import settings as s
import json
print(json.dumps([s.DEBUG, s.SESSION_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY,
                  s.SESSION_COOKIE_SAMESITE, s.CSRF_COOKIE_SECURE, s.PROXIES,
                  s.SESSION_COOKIE_NAME]))
"""


@pytest.fixture(scope="module")
def answers() -> Any:
    done = run("-c", ASK, **NAMED_SERVERS, DJANGO_SETTINGS_MODULE="epis.settings")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class TestProduction:
    def test_leads_to_https(self, answers: Any) -> None:
        status, headers, _ = answers["plain"]

        assert (status, headers["Location"]) == (301, "https://epis.invalid/")

    def test_refuses_the_api_in_the_clear_for_nobody_learns_of_a_redirect(
        self, answers: Any
    ) -> None:
        status, headers, _ = answers["plain_api"]

        assert (status, headers["Content-Type"]) == (403, "application/problem+json")
        assert "Location" not in headers

    def test_says_how_it_is_to_whoever_asks_from_within(self, answers: Any) -> None:
        assert answers["plain_health"][0] == 200

    def test_tells_browsers_to_come_by_https_for_a_year(self, answers: Any) -> None:
        _, headers, _ = answers["secure"]

        assert (
            headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
        )

    def test_sends_cookies_over_https_only(self, answers: Any) -> None:
        _, _, cookies = answers["secure"]

        assert cookies["__Host-csrftoken"] == [True, False, "Lax"]  # read by the pages' own scripts

    def test_answers_to_no_other_name(self, answers: Any) -> None:
        assert answers["elsewhere"][0] == 400

    def test_shows_no_errors_and_keeps_sessions_from_scripts(self) -> None:
        done = run("-c", CONFIGURED, **NAMED_SERVERS, DJANGO_SETTINGS_MODULE="epis.settings")

        assert json.loads(done.stdout) == [*[False, True, True, "Lax", True, 1, "__Host-sessionid"]]

    @pytest.mark.parametrize(
        "key",
        [
            "for-trying-only-replace-this-before-anyone-else-can-reach-it",
            "django-insecure-" + "0123456789abcdef" * 4,
            "aaaaaaaaaabbbbbbbbbb" * 3,
        ],
    )
    def test_refuses_a_key_that_everybody_knows_or_can_guess(self, key: str) -> None:
        said = complaints_about(**{**NAMED_SERVERS, "SECRET_KEY": key})

        assert list(said) == ["SECRET_KEY"]

    def test_takes_a_key_for_trying_where_there_is_no_https(self) -> None:
        key = "for-trying-only-replace-this-before-anyone-else-can-reach-it"
        tried = {**NAMED_SERVERS, "SECRET_KEY": key, "HTTPS": "false"}

        assert run("-c", "import epis.settings", **tried).returncode == 0
