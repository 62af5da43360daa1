"""A connection outlives an answer that was given without reading the body."""

import http.client

from tests.acceptance.running import Running


class TestRefusedBody:
    def test_does_not_break_the_next_request(self, epis: Running) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", epis.port, timeout=10)

        for _ in range(20):
            connection.request("POST", "/api/todos/", "x" * 60_000)
            refused = connection.getresponse()
            refused.read()
            kept = connection.sock
            connection.request("GET", "/health/live")
            answer = connection.getresponse()
            answer.read()
            assert (refused.status, answer.status, connection.sock) == (401, 200, kept)

        connection.close()
