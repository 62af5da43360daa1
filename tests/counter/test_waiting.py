"""`Prefer: wait`: an answer once the increment is settled, or after as long as was said."""

import time
from concurrent.futures import Future
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.consumer import LARGEST
from apps.counter.models import Counter, Increment
from apps.users.models import User
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import terminate_other_sessions
from tests.counter.test_counters import refused
from tests.polling import wait_for

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

PLACES = max(1, settings.WEB_THREADS // 2)


@pytest.fixture
def increments(tally: UUID) -> str:
    return f"/api/counters/{tally}/increments/"


def prefer(value: str) -> dict[str, str]:
    return {"Prefer": value}


def end_by_losing_the_database(waiting: Future[Any]) -> None:
    def ended() -> bool:
        terminate_other_sessions()
        return waiting.done()

    wait_for("the end of the waiting", ended)


def wait_until_pending(number: int = 1) -> None:
    wait_for(
        f"{number} pending", lambda: Increment.objects.filter(settled_at=None).count() == number
    )


class TestWait:
    def test_answers_200_with_the_result_once_it_is_applied(
        self, api: APIClient, increments: str, start: Start
    ) -> None:
        waiting = start(api.post, increments, {"amount": 7}, headers=prefer("wait=30"))
        wait_until_pending()
        counter.apply_pending_increments()

        response = waiting.result()

        assert response.status_code == 200
        assert response["Preference-Applied"] == "wait=30"
        receipt = response.json()
        assert (receipt["state"], receipt["result"]) == ("applied", 7)
        assert response["Location"] == f"{increments}{receipt['id']}/"
        assert receipt == api.get(response["Location"]).json()

    def test_answers_202_where_it_is_not_in_time(self, api: APIClient, increments: str) -> None:
        started = time.monotonic()
        response = api.post(increments, headers=prefer("wait=1"))
        took = time.monotonic() - started

        assert response.status_code == 202
        assert "Preference-Applied" not in response
        assert response.json()["state"] == "pending"
        assert took >= 1

    def test_is_over_for_a_refused_one_too(
        self, api: APIClient, increments: str, start: Start
    ) -> None:
        Counter.objects.update(value=LARGEST)
        waiting = start(api.post, increments, headers=prefer("wait=30"))
        wait_until_pending()
        counter.apply_pending_increments()

        response = waiting.result()

        assert (response.status_code, response["Preference-Applied"]) == (200, "wait=30")
        assert (response.json()["state"], response.json()["result"]) == ("refused", None)

    def test_by_a_retry_gives_the_first_receipt_once_it_is_applied(
        self, api: APIClient, increments: str, start: Start
    ) -> None:
        first = api.post(increments, {"key": "k"}).json()
        waiting = start(api.post, increments, {"key": "k"}, headers=prefer("wait=30"))
        counter.apply_pending_increments()

        response = waiting.result()
        later = api.post(increments, {"key": "k"}, headers=prefer("wait=3"))

        assert (response.status_code, response["Preference-Applied"]) == (200, "wait=30")
        assert (response.json()["id"], response.json()["state"]) == (first["id"], "applied")
        assert (later.status_code, later["Preference-Applied"]) == (200, "wait=3")
        assert later.json() == response.json()

    def test_by_a_retry_that_is_not_in_time_answers_200(
        self, api: APIClient, increments: str
    ) -> None:
        first = api.post(increments, {"key": "k"})

        again = api.post(increments, {"key": "k"}, headers=prefer("wait=1"))

        assert (again.status_code, again.json()) == (200, first.json())
        assert "Preference-Applied" not in again

    def test_is_not_for_an_array(self, api: APIClient, increments: str) -> None:
        response = api.post(increments, [{}], headers=prefer("wait=30"))

        assert response.status_code == 202
        assert "Preference-Applied" not in response


class TestPreference:
    """How it may be written (RFC 7240), and what else may stand beside it."""

    @pytest.mark.parametrize(
        "value",
        [
            *("wait=5", "WAIT=5", "Wait = 5", 'wait="5"', "wait=05", "wait=5; of=what"),
            *("respond-async, wait=5", "wait=5,respond-async", "wait=5, wait=9", 'a="b", wait=5'),
        ],
    )
    def test_is_understood(self, api: APIClient, increments: str, value: str) -> None:
        api.post(increments, {"key": "k"})
        counter.apply_pending_increments()

        response = api.post(increments, {"key": "k"}, headers=prefer(value))

        assert (response.status_code, response["Preference-Applied"]) == (200, "wait=5")

    @pytest.mark.parametrize(
        "value", ["", ",", "respond-async", "return=minimal", "waiting=5", "await=5", "wait=0"]
    )
    def test_that_is_none_for_waiting_is_passed_over(
        self, api: APIClient, increments: str, value: str
    ) -> None:
        response = api.post(increments, headers=prefer(value))

        assert response.status_code == 202
        assert "Preference-Applied" not in response

    @pytest.mark.parametrize(
        "value",
        [
            *("wait=-1", "wait=banana", "wait=31", "wait=", "wait=1.5", "wait=+5", "wait=1e1"),
            *('wait=""', 'wait="5', 'wait="-1"', "wait=5s", "WAIT=99999", "wait=" + "9" * 5_000),
            *("wait=\u0665", "wait=\uff15", "wait=0x5", "wait==5", "wait=5 9", "wait=5 banana"),
            *("respond-async, wait=banana", "wait=-1, wait=5"),
        ],
    )
    @pytest.mark.parametrize("body", [{}, [{}]])
    def test_that_is_malformed_is_refused_and_nothing_is_counted(
        self, api: APIClient, increments: str, value: str, body: Any
    ) -> None:
        response = api.post(increments, body, headers=prefer(value))

        assert refused(response, 400) == [("Prefer", "invalid")]
        assert not Increment.objects.exists()


class TestPlaces:
    """Half of the web server's threads may wait; the others are for everyone else."""

    def test_once_taken_let_everybody_else_be_answered_at_once(
        self, ada: User, increments: str, start: Start
    ) -> None:
        clients = [client_of(ada) for _ in range(PLACES + 3)]

        sent = [start(each.post, increments, headers=prefer("wait=30")) for each in clients]
        wait_for("the others being answered", lambda: sum(each.done() for each in sent) == 3)
        at_once = [each.result().status_code for each in sent if each.done()]
        still_waiting = [each for each in sent if not each.done()]
        counter.apply_pending_increments()

        assert at_once == [202] * 3
        assert [each.result().status_code for each in still_waiting] == [200] * PLACES

    def test_are_given_back_however_the_waiting_ends(
        self, api: APIClient, ada: User, increments: str, start: Start
    ) -> None:
        for number in range(1, PLACES + 2):
            waiting = start(client_of(ada).post, increments, headers=prefer("wait=30"))
            wait_until_pending(number)
            end_by_losing_the_database(waiting)
            assert waiting.result().status_code == 503
        for _ in range(PLACES + 1):
            assert api.post(increments, headers=prefer("wait=1")).status_code == 202

        waiting = start(api.post, increments, {"key": "k"}, headers=prefer("wait=30"))
        wait_until_pending(2 * (PLACES + 1) + 1)
        counter.apply_pending_increments()

        assert waiting.result().status_code == 200
