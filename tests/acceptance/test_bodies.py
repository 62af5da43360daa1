"""Bodies as they come over the wire: without a length, cut off, or too large."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from kit.ids import new_id
from tests.acceptance.running import Running
from tests.polling import wait_for

HALF_A_FORM = b"amount=10"  # of amount=1000


@pytest.fixture
def counter(epis: Running) -> tuple[str, str]:
    """The address of a new counter's increments, and a token of its owner's."""
    account = {"username": f"wire-{new_id()}", "password": "a long pass phrase"}
    epis.call("POST", "/api/users/", account)
    token = epis.call("POST", "/api/auth/tokens/", account).body["token"]
    tally = epis.call("POST", "/api/counters/", {"name": "wire"}, token).body["id"]
    return f"/api/counters/{tally}/increments/", token


def send_in_chunks(epis: Running, path: str, token: str, body: bytes) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", epis.port, timeout=10)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    connection.request("POST", path, iter([body[:3], body[3:]]), headers, encode_chunked=True)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def send_raw(epis: Running, path: str, headers: list[str], body: bytes) -> bytes:
    """Send this and no more, and close the sending side; gives what is answered."""
    with socket.create_connection(("127.0.0.1", epis.port), timeout=10) as connection:
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(65_536):
            answer += more
    return answer


class TestBodyWithoutALength:
    def test_is_read_as_it_is(self, epis: Running, counter: tuple[str, str]) -> None:
        path, token = counter
        body = b'{"amount": 5, "key": "monday"}'

        answers = [send_in_chunks(epis, path, token, body) for _ in range(2)]

        assert [status for status, _ in answers] == [202, 200]
        assert {(told["amount"], told["key"]) for _, told in answers} == {(5, "monday")}
        assert len({told["id"] for _, told in answers}) == 1

    def test_that_is_an_array_is_counted_as_a_whole(
        self, epis: Running, counter: tuple[str, str]
    ) -> None:
        path, token = counter

        status, told = send_in_chunks(epis, path, token, b'[{"amount": 5}, {"amount": 7}]')

        assert (status, told["accepted"]) == (202, 2)

    def test_that_cannot_be_read_counts_nothing(
        self, epis: Running, counter: tuple[str, str]
    ) -> None:
        path, token = counter
        headers = [f"Authorization: Bearer {token}", "Transfer-Encoding: chunked"]

        answer = send_raw(epis, path, headers, b"zz\r\n{}\r\n0\r\n\r\n")

        assert b" 202 " not in answer[:20]
        assert epis.call("GET", path, token=token).body["results"] == []

    def test_is_refused_where_it_is_too_large(
        self, epis: Running, counter: tuple[str, str]
    ) -> None:
        path, token = counter

        status, told = send_in_chunks(epis, path, token, b" " * (10 * 1024 * 1024 + 1))

        assert (status, told["title"]) == (413, "Content Too Large")


class TestBodyThatIsCutOff:
    @pytest.mark.parametrize("body", [HALF_A_FORM, b""])
    def test_counts_nothing(self, epis: Running, counter: tuple[str, str], body: bytes) -> None:
        path, token = counter
        headers = [
            f"Authorization: Bearer {token}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len('amount=1000')}",
        ]

        answer = send_raw(epis, path, headers, body)

        assert b" 202 " not in answer[:20]
        assert epis.call("GET", path, token=token).body["results"] == []


class TestBodiesThatDoNotArrive:
    """More of them than the web server has threads. Whoever sends no body is served."""

    @pytest.fixture(params=[100, 100_000_000], ids=["small", "large"])
    def length(self, request: Any) -> int:
        return int(request.param)

    @pytest.fixture
    def stuck(self, epis: Running, length: int) -> Iterator[list[socket.socket]]:
        head = f"POST /api/users/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{{"
        with ExitStack() as stack:
            sent = [
                stack.enter_context(socket.create_connection(("127.0.0.1", epis.port), timeout=10))
                for _ in range(100)
            ]
            for connection in sent:
                connection.sendall(head.encode())
            yield sent

    def test_hold_up_nobody_who_sends_none(
        self, epis: Running, counter: tuple[str, str], stuck: list[socket.socket]
    ) -> None:
        path, token = counter

        read = [epis.call("GET", path, token=token).status for _ in range(20)]

        assert read == [200] * 20

    @pytest.mark.parametrize("length", [100_000_000], indirect=True)
    def test_that_are_large_do_not_hold_up_small_ones(
        self, epis: Running, counter: tuple[str, str], stuck: list[socket.socket]
    ) -> None:
        path, token = counter

        assert [epis.call("POST", path, {}, token).status for _ in range(20)] == [202] * 20

    @pytest.mark.parametrize("length", [100], indirect=True)
    def test_have_others_told_to_come_again(
        self, epis: Running, counter: tuple[str, str], stuck: list[socket.socket]
    ) -> None:
        path, token = counter

        def sends_a_body() -> Any:
            return epis.call("POST", path, {}, token)

        wait_for("a body refused for want of threads", lambda: sends_a_body().status == 503)
        for connection in stuck:
            connection.close()
        wait_for("a body taken again", lambda: sends_a_body().status == 202)


def answer_to(epis: Running, sent: bytes) -> bytes:
    """All that comes until it hangs up."""
    answer = b""
    with socket.create_connection(("127.0.0.1", epis.port), timeout=10) as connection:
        connection.sendall(sent)
        while more := connection.recv(65_536):
            answer += more
    return answer


class TestNoRequest:
    """What the web server cannot make a request of, it refuses by itself, before epis sees it."""

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"HELLO\r\n\r\n", 400),
            (b"GET /api/ HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
            (b"GET /api/ HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
            (b"POST /api/users/ HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n", 400),
            (b"POST /api/users/ HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
            (b"GET /api/?" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            (b"GET /api/ HTTP/1.1\r\n" + b"X: 1\r\n" * 101 + b"\r\n", 431),
        ],
        ids=lambda value: value[:30] if isinstance(value, bytes) else None,
    )
    def test_is_refused_without_a_body_and_hung_up_on(
        self, epis: Running, sent: bytes, status: int
    ) -> None:
        head, _, body = answer_to(epis, sent).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert body == b""

    def test_of_http_2_is_hung_up_on(self, epis: Running) -> None:
        assert answer_to(epis, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == b""
