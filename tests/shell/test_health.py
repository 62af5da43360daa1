"""The health checks answer, and soon, whatever is down or hangs."""

import socket
import time
from collections.abc import Generator
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from epis.api import health

ALL_DATABASES = pytest.mark.django_db(databases=["default", "todos", "counter"])
UP = {"users": "up", "todos": "up", "counter": "up", "broker": "up"}


@pytest.fixture
def silent_port() -> Generator[int]:
    """Where someone takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def ready(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/health/ready")
    return response.status_code, response.json()


def move_database(monkeypatch: pytest.MonkeyPatch, alias: str, port: int) -> None:
    monkeypatch.setitem(connections[alias].settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connections[alias].settings_dict, "PORT", str(port))


class TestLive:
    def test_touches_nothing(self, client: Client) -> None:
        assert client.get("/health/live").json() == {"state": "live"}


@ALL_DATABASES
class TestReady:
    def test_sees_every_part_up(self, client: Client) -> None:
        assert ready(client) == (200, {"state": "ready", "parts": UP})

    def test_is_503_and_names_the_database_that_is_down(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        move_database(monkeypatch, "todos", 1)

        response = client.get("/health/ready")

        assert response.status_code == 503
        assert response.json() == {"state": "down", "parts": UP | {"todos": "down"}}
        assert response["Retry-After"]

    def test_waits_no_longer_than_its_limit_for_a_database_that_hangs(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, silent_port: int
    ) -> None:
        move_database(monkeypatch, "default", silent_port)
        move_database(monkeypatch, "counter", silent_port)
        began_at = time.monotonic()

        status, body = ready(client)

        assert (status, body["parts"]["users"], body["parts"]["counter"]) == (503, "down", "down")
        assert time.monotonic() - began_at < health.CONNECT_SECONDS + 1

    @pytest.mark.parametrize(
        "url",
        [
            "redis://127.0.0.1:{silent}/0",
            "amqp://guest:guest@127.0.0.1:{silent}//",
            "redis://127.0.0.1:1/0",
            "redis+socket:///tmp/no-such.sock",
            "amqp://guest:guest@127.0.0.1:1//",
        ],
    )
    def test_is_degraded_within_a_second_while_the_broker_is_down(
        self, client: Client, settings: Any, silent_port: int, url: str
    ) -> None:
        settings.BROKER_URL = url.format(silent=silent_port)
        began_at = time.monotonic()

        status, body = ready(client)

        assert (status, body) == (200, {"state": "degraded", "parts": UP | {"broker": "down"}})
        assert time.monotonic() - began_at < 1
