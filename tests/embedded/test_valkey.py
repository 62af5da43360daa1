"""What the embedded Valkey has to survive."""

import signal
from collections.abc import Callable

import pytest
import redis

from epis import processes
from epis.embedded.locations import Locations
from epis.embedded.valkey import Valkey
from tests.embedded.conftest import Process

Start = Callable[[Valkey], Process]


def client(locations: Locations) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(locations.valkey_socket))


class TestStart:
    def test_forgets_nothing_of_its_own_accord(self, locations: Locations, start: Start) -> None:
        start(Valkey(locations))

        with client(locations) as valkey:
            assert valkey.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert valkey.config_get("appendfsync") == {"appendfsync": "everysec"}
            assert valkey.config_get("appendonly") == {"appendonly": "yes"}
            assert valkey.config_get("port") == {"port": "0"}

    def test_works_below_a_path_too_long_for_a_socket(
        self, deep_locations: Locations, start: Start
    ) -> None:
        start(Valkey(deep_locations))

        with client(deep_locations) as valkey:
            assert valkey.ping()


class TestStartAgain:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
    def test_keeps_messages(self, locations: Locations, start: Start, how: signal.Signals) -> None:
        first = start(Valkey(locations))
        with client(locations) as valkey:
            valkey.lpush("queue", "message")
        first.send_signal(how)
        first.wait()

        start(Valkey(locations))

        with client(locations) as valkey:
            assert valkey.lrange("queue", 0, -1) == [b"message"]

    def test_replaces_an_orphan(
        self, locations: Locations, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "LIBC", None)
        orphan = start(Valkey(locations))
        with client(locations) as valkey:
            valkey.lpush("queue", "message")

        start(Valkey(locations))

        assert orphan.poll() == 0
        with client(locations) as valkey:
            assert valkey.lrange("queue", 0, -1) == [b"message"]
