"""What lets somebody in, or says who it was, is in no log line, whoever logs it."""

import logging
import time

import pytest
from django.test import Client

from epis.logs import UNSAID, Discreet
from tests.planted import Overhearing, secrets_in

TOKEN = "epis_" + "a" * 43


def line(message: str, *values: object, error: BaseException | None = None) -> str:
    caught = (type(error), error, None) if error else None
    record = logging.LogRecord("any", logging.ERROR, "", 1, message, values, caught)
    return Discreet("%(levelname)s %(message)s").format(record)


class TestLine:
    @pytest.mark.parametrize(
        ("said", "secret"),
        [
            (TOKEN, TOKEN),
            ("Authorization: Bearer abc.def.ghi", "abc"),
            ("sessionid=4mnzk1p9xq; csrftoken=x", "4mnzk1p9xq"),
            ("postgres://epis:hunter2@db.example.org:5432/epis", "hunter2"),
            ("/api/auth/password-reset/0190-7000/d2x-0f3a/", "d2x-0f3a"),
            ("ada.lovelace+spam@mail.example.com", "lovelace"),
        ],
    )
    def test_does_not_say(self, said: str, secret: str) -> None:
        for told in (line("Bad: %s", said), line("Bad", error=ValueError(said))):
            assert UNSAID in told
            assert secret not in told

    def test_says_all_the_rest(self) -> None:
        assert line("Not Found: %s", "/api/todos/1/") == "ERROR Not Found: /api/todos/1/"

    def test_is_one_whatever_is_asked_for(self, caplog: pytest.LogCaptureFixture) -> None:
        Client().get("/nothing%0A2026-01-01%20INFO%20forged%1B[31m")

        (record,) = caplog.records
        told = Discreet("%(message)s").format(record)
        assert told == r"Not Found: /nothing\n2026-01-01 INFO forged\x1b[31m"

    @pytest.mark.parametrize("said", ["a", "a.", "@a", "a@", "://a:", "a@b.", "epis_", "://:"])
    def test_is_made_quickly_whatever_a_client_makes_us_say(self, said: str) -> None:
        began = time.thread_time()

        line("Not Found: %s", "/" + said * (40_000 // len(said)))

        assert time.thread_time() - began < 0.5  # else some seconds, and hours for a long header


@pytest.mark.urls("tests.shell.routes")
class TestTraceback:
    def test_is_not_told_of_a_host_that_is_not_ours(self, caplog: pytest.LogCaptureFixture) -> None:
        refused = Client().get("/api/plans/", headers={"Host": "evil.example"})

        assert refused.status_code == 400
        (record,) = caplog.records
        assert (record.name, record.exc_info) == ("django.security.DisallowedHost", None)
        assert "evil.example" in record.getMessage()
        assert len(Discreet("%(message)s").format(record).splitlines()) == 1

    @pytest.mark.parametrize("way", ["bug", "suspicious"])
    def test_is_told_of_all_else(self, caplog: pytest.LogCaptureFixture, way: str) -> None:
        Client(raise_request_exception=False).get(f"/api/fail-outside/{way}/")

        assert "Traceback" in Discreet("%(message)s").format(caplog.records[-1])


class TestOverhearing:
    @pytest.mark.parametrize("planted", [TOKEN, "ada@example.com", "a long pass phrase"])
    def test_would_notice(self, planted: str) -> None:
        assert secrets_in(f"before\nsaid: {planted}\nafter") == [f"said: {planted}"]

    def test_hears_what_is_logged_in_a_test(self, log_of_the_run: Overhearing) -> None:
        logging.getLogger("somewhere").error("the password is %s", "a long pass phrase")

        assert log_of_the_run.told == ["somewhere the password is a long pass phrase"]
        log_of_the_run.told.clear()
