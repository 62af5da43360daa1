"""The proxy: what it lets through, cuts, refuses and holds up."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from faults.proxy import HOST, Proxies, Proxy
from tests.polling import wait_for


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of somebody who answers with what was sent."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(peer,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def answer(peer: socket.socket) -> None:
    with peer, suppress(ConnectionResetError):
        while data := peer.recv(1024):
            peer.sendall(data)


@pytest.fixture
def proxy(echo: int) -> Proxy:
    return Proxies().to(echo)


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=5)


def says(peer: socket.socket, word: bytes) -> bool:
    """Whether the other side answers."""
    try:
        peer.sendall(word)
        return peer.recv(1024) == word
    except OSError:
        return False


def is_answered(proxy: Proxy, word: bytes) -> bool:
    """Whether somebody who comes now is."""
    try:
        with connect(proxy) as peer:
            return says(peer, word)
    except OSError:
        return False


class TestProxy:
    def test_lets_everything_through(self, proxy: Proxy) -> None:
        with connect(proxy) as peer:
            assert says(peer, b"one")
            assert says(peer, b"two")

    def test_cuts_what_is_connected_and_lets_new_ones_through(self, proxy: Proxy) -> None:
        with connect(proxy) as peer:
            assert says(peer, b"one")
            proxy.cut()

            wait_for("the cut", lambda: not says(peer, b"two"))
        assert is_answered(proxy, b"three")

    def test_refuses_until_that_is_taken_back(self, proxy: Proxy) -> None:
        proxy.refuse(True)
        assert not is_answered(proxy, b"one")

        proxy.refuse(False)
        assert is_answered(proxy, b"two")

    def test_holds_up_and_then_delivers(self, proxy: Proxy) -> None:
        with connect(proxy) as peer:
            assert says(peer, b"one")
            proxy.hold(True)
            peer.sendall(b"two")
            peer.settimeout(0.3)
            with pytest.raises(TimeoutError):
                peer.recv(1024)

            proxy.hold(False)
            peer.settimeout(5)
            assert peer.recv(1024) == b"two"

    def test_ends_where_nobody_is_behind_it(self) -> None:
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
        assert not is_answered(Proxies().to(port), b"one")
