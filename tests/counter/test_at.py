"""`?at=`: a counter's value at a moment of the past, the same whenever it is asked for."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.consumer import LARGEST
from apps.counter.models import Counter, Increment
from apps.users.models import User
from kit.ids import new_id
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import Pause, paused_after, rewritten
from tests.counter.test_counters import refused
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

APPLYING = "FOR UPDATE SKIP LOCKED"
GUARD, NO_GUARD = "pg_advisory_xact_lock_shared(%s, %s)", "%s::bigint + %s"
MICROSECOND = timedelta(microseconds=1)


def now() -> datetime:
    """By the clock of the database, which is that of the ledger."""
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def value_at(client: APIClient, counter_id: UUID, moment: datetime | str) -> int:
    at = moment if isinstance(moment, str) else moment.isoformat()
    response = client.get(f"/api/counters/{counter_id}/", {"at": at})
    assert response.status_code == 200, response.text
    value: int = response.json()["value"]
    return value


def count(counter_id: UUID, owner: User, *amounts: int) -> datetime:
    """Accept these and apply them in one batch. Returns a moment just behind it."""
    for amount in amounts:
        counter.increment(counter_id=counter_id, owner_id=owner.id, amount=amount)
    counter.apply_pending_increments()
    return now()


class TestAt:
    def test_gives_the_value_between_batches(self, api: APIClient, ada: User, tally: UUID) -> None:
        before = now()
        first = count(tally, ada, 5, 2)
        second = count(tally, ada, -10)
        third = count(tally, ada, 1, 1, 1)

        values = [value_at(api, tally, moment) for moment in (before, first, second, third, now())]

        assert values == [0, 7, -3, 0, 0]

    def test_includes_what_was_applied_at_that_very_moment(
        self, api: APIClient, ada: User, tally: UUID
    ) -> None:
        count(tally, ada, 1)
        response = api.post(f"/api/counters/{tally}/increments/", {"amount": 5})
        count(tally, ada, 10)
        applied_at = api.get(response["Location"]).json()["applied_at"]

        just_before = datetime.fromisoformat(applied_at) - MICROSECOND
        count(tally, ada, 100)

        assert value_at(api, tally, applied_at) == 16  # they were of one batch
        assert value_at(api, tally, just_before) == 1

    def test_of_an_untouched_counter_is_0(self, api: APIClient, tally: UUID) -> None:
        assert value_at(api, tally, now()) == 0
        assert value_at(api, tally, "1970-01-01T00:00:00Z") == 0

    def test_leaves_out_what_was_refused_or_is_pending(
        self, api: APIClient, ada: User, tally: UUID
    ) -> None:
        Counter.objects.update(value=LARGEST - 5)
        count(tally, ada, 3)
        between = count(tally, ada, 10)
        count(tally, ada, -1)
        counter.increment(counter_id=tally, owner_id=ada.id, amount=-7)

        assert value_at(api, tally, between) == LARGEST - 2
        assert value_at(api, tally, now()) == LARGEST - 3

    def test_tells_everything_else_as_it_is_now(
        self, api: APIClient, ada: User, tally: UUID
    ) -> None:
        moment = count(tally, ada, 5)
        count(tally, ada, 1)
        counter.increment(counter_id=tally, owner_id=ada.id)
        plain = api.get(f"/api/counters/{tally}/").json()

        asked = api.get(f"/api/counters/{tally}/", {"at": moment.isoformat()}).json()

        assert plain["pending"] == {"count": 1, "amount": 1}
        assert asked == plain | {"value": 5, "pending": None}

    def test_agrees_with_the_ledger_at_every_step(
        self, api: APIClient, ada: User, tally: UUID
    ) -> None:
        for amount in (3, -1, 4, -1, 5, -9):
            count(tally, ada, amount)

        settled = Increment.objects.order_by("place").values_list("settled_at", "result")

        assert [value_at(api, tally, at) for at, _ in settled] == [result for _, result in settled]


class TestWritten:
    """How a moment may be written."""

    @pytest.mark.parametrize(
        "offset", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))]
    )
    def test_with_any_offset(
        self, api: APIClient, ada: User, tally: UUID, offset: timezone
    ) -> None:
        moment = count(tally, ada, 5).astimezone(offset)
        count(tally, ada, 1)

        assert value_at(api, tally, moment) == 5

    def test_with_a_plus_that_was_not_quoted(self, api: APIClient, ada: User, tally: UUID) -> None:
        moment = count(tally, ada, 5).astimezone(timezone(timedelta(hours=2)))
        count(tally, ada, 1)

        for text in (moment.isoformat(), f"{moment:%Y-%m-%dT%H:%M:%S.%f%z}"):
            assert "+" in text
            response = api.get(f"/api/counters/{tally}/?at={text}")
            assert response.json()["value"] == 5

    @pytest.mark.parametrize(
        "text", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "1999-12-31 23:59Z"]
    )
    def test_as_early_as_there_is(self, api: APIClient, ada: User, tally: UUID, text: str) -> None:
        count(tally, ada, 5)

        assert value_at(api, tally, text) == 0

    @pytest.mark.parametrize(
        "text",
        [
            *("", " ", "now", "yesterday", "1", "1700000000", "\0", "2026", "Z", "+", "é"),
            *("2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00", "12:00:00Z"),
            *("2026-02-30T00:00:00Z", "2026-01-31T25:00:00Z", "2026-01-31T12:00:00+99:00"),
            *("10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "2026-01-31T12:00:00Zulu"),
        ],
    )
    def test_otherwise_is_refused(self, api: APIClient, tally: UUID, text: str) -> None:
        response = api.get(f"/api/counters/{tally}/", {"at": text})

        assert refused(response, 400) == [("at", "invalid")]

    @pytest.mark.parametrize("used", [True, False])
    @pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999Z"])
    def test_as_late_as_there_is_is_refused(
        self, api: APIClient, ada: User, tally: UUID, text: str, used: bool
    ) -> None:
        if used:
            count(tally, ada, 5)

        response = api.get(f"/api/counters/{tally}/", {"at": text})

        assert refused(response, 400) == [("at", "not_yet")]

    def test_in_the_future_is_refused(self, api: APIClient, ada: User, tally: UUID) -> None:
        moment = count(tally, ada, 5) + timedelta(seconds=30)

        response = api.get(f"/api/counters/{tally}/", {"at": moment.isoformat()})

        assert refused(response, 400) == [("at", "not_yet")]


class TestWho:
    def test_a_stranger_finds_no_private_counter(
        self, bob: User, ada: User, tally: UUID, staff: User
    ) -> None:
        moment = count(tally, ada, 5)
        at = {"at": moment.isoformat()}

        refused(client_of(bob).get(f"/api/counters/{tally}/", at), 404)
        assert value_at(client_of(staff), tally, moment) == 5
        Counter.objects.update(visibility="public")
        assert value_at(client_of(bob), tally, moment) == 5

    def test_nobody_finds_an_unknown_or_deleted_one(
        self, api: APIClient, ada: User, tally: UUID
    ) -> None:
        at = {"at": count(tally, ada, 5).isoformat()}

        refused(api.get(f"/api/counters/{new_id()}/", at), 404)
        api.delete(f"/api/counters/{tally}/")
        refused(api.get(f"/api/counters/{tally}/", at), 404)


class TestNeverChanges:
    """Asked for while a consumer is about to commit what it timed before the moment."""

    def apply_and_pause(self, pause: Pause) -> None:
        with paused_after(APPLYING, pause):
            counter.apply_pending_increments()

    def read(self, api: APIClient, tally: UUID, moment: datetime, *, guarded: bool) -> int:
        with ExitStack() as stack:
            if not guarded:
                stack.enter_context(rewritten(GUARD, NO_GUARD))
            return value_at(api, tally, moment)

    @pytest.fixture(params=[0, 1], ids=["untouched", "used"])
    def consumer(self, request: Any, ada: User, tally: UUID, start: Start) -> Pause:
        """Has applied 10, not yet committed, on a counter that stands at 0 or 1."""
        if request.param:
            count(tally, ada, request.param)
        counter.increment(counter_id=tally, owner_id=ada.id, amount=10)
        pause = Pause()
        start(self.apply_and_pause, pause)
        pause.wait_until_reached()
        return pause

    def test_because_the_reader_waits_for_it(
        self, api: APIClient, tally: UUID, start: Start, consumer: Pause
    ) -> None:
        moment = now()
        reading = start(self.read, api, tally, moment, guarded=True)
        wait_until_blocked(1, using="counter")
        consumer.end()

        value = reading.result()

        assert value in (10, 11)
        assert value_at(api, tally, moment) == value

    def test_only_because_the_reader_waits_for_it(
        self, api: APIClient, tally: UUID, start: Start, consumer: Pause
    ) -> None:
        moment = now()
        value = start(self.read, api, tally, moment, guarded=False).result()
        consumer.end()

        start(counter.apply_pending_increments).result()  # waits for the paused one

        assert value in (0, 1)
        assert value_at(api, tally, moment) == value + 10

    def test_and_a_moment_before_the_last_batch_waits_for_nobody(
        self, api: APIClient, ada: User, tally: UUID, start: Start
    ) -> None:
        moment = count(tally, ada, 1)
        count(tally, ada, 1)
        counter.increment(counter_id=tally, owner_id=ada.id, amount=10)
        pause = Pause()
        consumer = start(self.apply_and_pause, pause)
        pause.wait_until_reached()

        assert value_at(api, tally, moment) == 1
        pause.end()
        consumer.result()
        assert value_at(api, tally, moment) == 1
