"""A key is found by its digest: the right one, and without a look at the others."""

from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.models import LONGEST_KEY
from apps.counter.queries import find_increments
from apps.users.models import User
from kit.ids import new_id
from tests.counter.reading import fill_ledger, rows_read

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

KEYS = ["k", "\\", "\\\\", "\\x41", "a\\101", "'quoted'", "%s", "~" * LONGEST_KEY, "미역국"]


@pytest.mark.parametrize("key", KEYS)
def test_is_the_same_everywhere(key: str) -> None:
    counter_id = new_id()
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT counter_key_digest(%s, %s)", [counter_id, key])
        [digest] = cursor.fetchone()

    assert bytes(digest) == sha256(counter_id.bytes + key.encode()).digest()[:15]


@pytest.mark.parametrize("key", [key for key in KEYS if key.isascii()])
def test_finds_each_key_in_inbox_and_ledger(
    api: APIClient, ada: User, tally: UUID, key: str
) -> None:
    other = counter.open_counter(owner_id=ada.id, name="other")
    for each in (tally, other):
        counter.increment(counter_id=each, owner_id=ada.id, key=key)
    increments = f"/api/counters/{tally}/increments/"

    pending = api.get(increments, {"key": key}).json()["results"]
    counter.apply_pending_increments()
    applied = api.get(increments, {"key": key}).json()["results"]
    again = api.post(increments, {"key": key})

    assert [receipt["key"] for receipt in pending] == [key]
    assert [receipt["id"] for receipt in pending] == [receipt["id"] for receipt in applied]
    assert (again.status_code, again.json()["id"]) == (200, applied[0]["id"])


def test_of_one_key_gives_no_increment_of_another(api: APIClient, tally: UUID) -> None:
    """As if two keys had been found that agree in it."""
    increments = f"/api/counters/{tally}/increments/"
    first = api.post(increments, {"key": "one"}).json()
    with connections["counter"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO counter_key VALUES (counter_key_digest(%s, 'other'), %s)",
            [tally, first["id"]],
        )

    assert api.get(increments, {"key": "other"}).json()["results"] == []
    assert api.post(increments, {"key": "other"}).status_code == 404  # refused, and not counted


class TestLongLedger:
    """Of 20,000 entries, statistics and all."""

    @pytest.fixture(autouse=True)
    def long(self, tally: UUID) -> None:
        fill_ledger(tally, timezone.now(), {timedelta(0): 20_000})

    def test_is_not_walked_over_for_a_key(self, api: APIClient, tally: UUID) -> None:
        increments = f"/api/counters/{tally}/increments/"

        with CaptureQueriesContext(connections["counter"]) as captured:
            found = api.get(increments, {"key": "key-17"}).json()["results"]

        assert [receipt["key"] for receipt in found] == ["key-17"]
        looks = [each for each in captured.captured_queries if "digest" in each["sql"]]
        assert rows_read(looks) == 2  # the key and its entry

    def test_gives_one_of_many_keys(self, tally: UUID) -> None:
        keys = ["key-1", "key-19999", "key-20000", "key-20001"]

        found = find_increments([(tally, key) for key in keys])

        assert {each.key for each in found} == {"key-1", "key-19999", "key-20000"}
