"""What the running server says to a browser with each answer."""

import http.client
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.acceptance.running import PROJECT, Running, free_port
from tests.polling import wait_for
from tests.test_settings import NAMED_SERVERS

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGES = ["/", "/api/", "/api/auth/login/", "/api/docs/", "/admin/login/", "/api/nothing/"]
NO_PAGES = ["/api/", "/api/users/me/", "/api/schema/", "/api/nothing/", "/metrics", "/health/live"]


@dataclass
class Production:
    """The web server alone, with the settings of production. Its databases are not there."""

    port: int

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def production() -> Iterator[Production]:
    running = Production(free_port())
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface=wsgi", f"--port={running.port}"),
            *("--workers=1", "--blocking-threads=1", "--http=1"),
            *("--factory", "epis.wsgi:web_process"),
        ],
        cwd=PROJECT,
        env=os.environ | NAMED_SERVERS,
    )
    try:
        wait_for("the web server listening", running.answers)
        yield running
    finally:
        server.terminate()
        server.wait(30)


def get(
    epis: Running | Production, path: str, accept: str, method: str = "GET", **headers: str
) -> http.client.HTTPMessage:
    connection = http.client.HTTPConnection("127.0.0.1", epis.port, timeout=10)
    connection.request(method, path, headers={"Accept": accept, **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers


class TestEveryAnswer:
    @pytest.mark.parametrize("path", PAGES)
    def test_that_is_a_page_may_load_what_comes_from_here(self, epis: Running, path: str) -> None:
        headers = get(epis, path, "text/html")

        policy = dict(
            part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
        )
        assert headers["Content-Type"].startswith("text/html")
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert not re.search(r"unsafe|https?:|\*", headers["Content-Security-Policy"])
        assert "camera=()" in headers["Permissions-Policy"]

    @pytest.mark.parametrize("path", NO_PAGES)
    def test_that_is_no_page_may_load_nothing(self, epis: Running, path: str) -> None:
        policy = get(epis, path, "*/*")["Content-Security-Policy"]

        assert policy == "default-src 'none'; frame-ancestors 'none'"

    @pytest.mark.parametrize("path", [*PAGES, *NO_PAGES])
    def test_is_taken_for_what_it_is_and_shown_in_no_frame(self, epis: Running, path: str) -> None:
        headers = get(epis, path, "text/html, */*;q=0.1")

        assert {name: headers[name] for name in EVERYWHERE} == EVERYWHERE
        assert "no-store" in headers["Cache-Control"] or "no-cache" in headers["Cache-Control"]

    def test_tells_nothing_of_what_it_was_made_with(self, epis: Running) -> None:
        headers = get(epis, "/api/", "*/*")

        assert "X-Powered-By" not in headers
        assert not re.search(r"\d", headers.get("Server", ""))

    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_lets_no_other_origin_read_it(self, epis: Running, method: str) -> None:
        headers = get(
            epis,
            "/api/users/",
            "*/*",
            method,
            **{"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
        )

        assert not [name for name in headers if name.lower().startswith("access-control-")]


class TestCookies:
    def test_are_for_this_site_alone_and_out_of_reach_of_scripts(self, epis: Running) -> None:
        cookie = get(epis, "/api/auth/login/", "text/html")["Set-Cookie"]

        assert "SameSite=Lax" in cookie
        assert "Domain=" not in cookie


class TestProduction:
    def test_has_browsers_come_by_https_for_a_year_and_send_cookies_by_it_alone(
        self, production: Production
    ) -> None:
        by_https = {"Host": "epis.invalid", "X-Forwarded-Proto": "https"}

        headers = get(production, "/api/auth/login/", "text/html", **by_https)

        hsts = headers["Strict-Transport-Security"]
        assert hsts == "max-age=31536000; includeSubDomains; preload"
        assert re.match(
            r"__Host-csrftoken=.*; Path=/; SameSite=Lax; Secure$", headers["Set-Cookie"]
        )
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert {name: headers[name] for name in EVERYWHERE} == EVERYWHERE
