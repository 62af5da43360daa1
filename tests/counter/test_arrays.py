"""Arrays of increments: all or none, in order, and each key once, wherever it was met before."""

import random
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.models import LARGEST_AMOUNT, Counter, Increment
from apps.users.models import User
from kit.ids import new_id
from tests.clients import anonymous, client_of, send_json
from tests.counter.ledger import faults_of
from tests.counter.test_counters import refused

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

MOST = 10_000

WRONG: dict[str, list[Any]] = {
    "[3].amount": [
        *[{"amount": amount} for amount in (0, 10**9 + 1, -(10**9) - 1, 10**40)],
        *[{"amount": 1.0}, {"amount": "1"}, {"amount": None}, {"amount": True}, {"amount": []}],
    ],
    "[3].key": [
        *[{"key": key} for key in ("", "a b", "é", "\n", "k" * 256)],
        *[{"key": None}, {"key": 5}, {"key": []}],
    ],
    "[3]": [5, "k", None, True, [], [{"amount": 1}], 1.5],
}


@pytest.fixture
def increments(tally: UUID) -> str:
    return f"/api/counters/{tally}/increments/"


def in_order(counter_id: UUID) -> list[tuple[str, int, int | None]]:
    """Key, amount and result of what is settled, in the order of its places."""
    settled = Increment.objects.filter(counter=counter_id, place__isnull=False)
    return list(settled.order_by("place").values_list("key", "amount", "result"))


class TestArray:
    def test_is_answered_in_its_order(self, api: APIClient, increments: str) -> None:
        keys = ["monday", "tuesday", "a", "~", "0"]

        response = api.post(increments, [{"key": key} for key in keys])

        assert response.status_code == 202
        answer = response.json()
        assert (answer["accepted"], answer["duplicates"]) == (5, 0)
        assert [result["key"] for result in answer["results"]] == keys
        for result in answer["results"]:
            receipt = api.get(f"{increments}{result['id']}/").json()
            assert (receipt["key"], receipt["state"]) == (result["key"], "pending")

    def test_is_counted_in_its_order(self, api: APIClient, increments: str, tally: UUID) -> None:
        items = [{"key": key, "amount": amount} for amount, key in enumerate("dacb", start=1)]
        api.post(increments, items[:2])
        api.post(increments, items[2:])

        counter.apply_pending_increments()

        assert in_order(tally) == [("d", 1, 1), ("a", 2, 3), ("c", 3, 6), ("b", 4, 10)]

    def test_may_leave_keys_and_amounts_to_the_server(
        self, api: APIClient, increments: str
    ) -> None:
        results = api.post(increments, [{}, {"amount": -5}, {"key": "k"}, {}]).json()["results"]

        assert results[2]["key"] == "k"
        assert len({result["key"] for result in results}) == 4
        receipts = [api.get(f"{increments}{result['id']}/").json() for result in results]
        assert [receipt["amount"] for receipt in receipts] == [1, -5, 1, 1]
        again = api.post(increments, [{"key": result["key"]} for result in results[::3]]).json()
        assert again["results"] == results[::3]

    @pytest.mark.parametrize("size", [1, MOST])
    def test_may_be_as_long_as_it_says(
        self, api: APIClient, increments: str, tally: UUID, size: int
    ) -> None:
        items = [{"key": f"{number:0>255}", "amount": LARGEST_AMOUNT} for number in range(size)]

        answer = api.post(increments, items).json()

        assert (answer["accepted"], answer["duplicates"]) == (size, 0)
        assert [result["key"] for result in answer["results"]] == [item["key"] for item in items]
        assert len({result["id"] for result in answer["results"]}) == size
        counter.apply_pending_increments()
        assert Counter.objects.get().value == size * LARGEST_AMOUNT
        assert faults_of(tally) == []

    def test_by_staff_counts_on_anyones_counter(
        self, api: APIClient, increments: str, staff: User
    ) -> None:
        first = api.post(increments, [{"key": "k"}]).json()

        again = client_of(staff).post(increments, [{"key": "k"}, {"key": "l"}]).json()

        assert (again["accepted"], again["duplicates"]) == (1, 1)
        assert again["results"][0] == first["results"][0]


class TestDuplicates:
    def test_inside_count_once(self, api: APIClient, increments: str) -> None:
        keys = ["k", "l", "k", "k", "l", "m"]

        answer = api.post(increments, [{"key": key} for key in keys]).json()

        assert (answer["accepted"], answer["duplicates"]) == (3, 3)
        assert [result["key"] for result in answer["results"]] == keys
        ids = [result["id"] for result in answer["results"]]
        assert ids[0] == ids[2] == ids[3] != ids[1] == ids[4]
        assert Increment.objects.count() == 3

    def test_inside_stand_where_they_came_first(
        self, api: APIClient, increments: str, tally: UUID
    ) -> None:
        keys = [f"key-{number}" for number in range(MOST // 2)] * 2
        random.shuffle(keys)

        api.post(increments, [{"key": key} for key in keys])
        counter.apply_pending_increments()

        assert [key for key, *_ in in_order(tally)] == list(dict.fromkeys(keys))

    @pytest.mark.parametrize("settled", [True, False])
    def test_of_earlier_ones_have_their_ids(
        self, api: APIClient, increments: str, tally: UUID, settled: bool
    ) -> None:
        """Whether those are in the inbox or in the ledger."""
        earlier = [api.post(increments, {"key": key}).json() for key in "abc"]
        if settled:
            counter.apply_pending_increments()

        answer = api.post(increments, [{"key": key} for key in "xbycz"]).json()

        assert (answer["accepted"], answer["duplicates"]) == (3, 2)
        ids = [result["id"] for result in answer["results"]]
        assert [ids[1], ids[3]] == [earlier[1]["id"], earlier[2]["id"]]
        counter.apply_pending_increments()
        assert [key for key, *_ in in_order(tally)] == [*"abcxyz"]
        assert faults_of(tally) == []

    def test_of_a_whole_array_change_nothing(self, api: APIClient, increments: str) -> None:
        items = [{"key": str(number)} for number in range(100)]
        first = api.post(increments, items[:50]).json()
        counter.apply_pending_increments()
        second = api.post(increments, items[50:]).json()

        again = api.post(increments, items)

        assert again.status_code == 202
        assert again.json() == {
            "accepted": 0,
            "duplicates": 100,
            "results": first["results"] + second["results"],
        }


class TestConflict:
    @pytest.mark.parametrize("where", ["inside", "inbox", "ledger"])
    def test_refuses_all_and_names_the_key(
        self, api: APIClient, increments: str, where: str
    ) -> None:
        items: list[dict[str, Any]] = [{"key": key} for key in "abc"]
        if where == "inside":
            items.append({"key": "b", "amount": 2})
        else:
            api.post(increments, {"key": "b", "amount": 2})
        if where == "ledger":
            counter.apply_pending_increments()
        before = list(Increment.objects.values_list("key"))

        response = api.post(increments, items)

        assert refused(response, 422) == []
        assert (response.json()["code"], response.json()["key"]) == ("key_reused", "b")
        assert list(Increment.objects.values_list("key")) == before


class TestWrongItem:
    @pytest.mark.parametrize(
        ("item", "field"), [(item, field) for field in WRONG for item in WRONG[field]]
    )
    def test_is_named_by_its_index_and_nothing_is_done(
        self, api: APIClient, increments: str, item: Any, field: str
    ) -> None:
        response = send_json(api, "POST", increments, [{}, {"amount": 2}, {}, item, {}])

        assert [name for name, _ in refused(response, 400)] == [field]
        assert not Increment.objects.exists()

    def test_is_found_at_the_end_of_the_longest(self, api: APIClient, increments: str) -> None:
        response = api.post(increments, [*[{}] * (MOST - 1), {"amount": 0}])

        assert [name for name, _ in refused(response, 400)] == [f"[{MOST - 1}].amount"]
        assert not Increment.objects.exists()


class TestWrongArray:
    @pytest.mark.parametrize(("size", "code"), [(0, "empty"), (MOST + 1, "max_length")])
    def test_is_refused_for_its_length(
        self, api: APIClient, increments: str, size: int, code: str
    ) -> None:
        assert refused(api.post(increments, [{}] * size), 400) == [("", code)]
        assert not Increment.objects.exists()

    def test_is_refused_with_the_header_of_one(self, api: APIClient, increments: str) -> None:
        response = api.post(increments, [{}], headers={"Idempotency-Key": "k"})

        assert refused(response, 400) == [("key", "key_of_array")]
        assert not Increment.objects.exists()

    def test_is_refused_for_its_bytes(self, api: APIClient, increments: str) -> None:
        body = b"[{}" + b" " * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b"]"

        response = api.generic("POST", increments, body, content_type="application/json")

        assert refused(response, 413) == []
        assert not Increment.objects.exists()

    def test_is_refused_on_a_counter_that_is_not_ones_own(
        self, api: APIClient, bob: User, tally: UUID, increments: str
    ) -> None:
        refused(api.post(f"/api/counters/{new_id()}/increments/", [{}, {}]), 404)
        refused(client_of(bob).post(increments, [{}, {}]), 404)
        Counter.objects.filter(id=tally).update(visibility="public")
        refused(client_of(bob).post(increments, [{}, {}]), 403)
        refused(anonymous().post(increments, [{}, {}]), 401)

        assert not Increment.objects.exists()
