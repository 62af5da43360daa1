"""Increments over HTTP: receipts, keys that make a retry harmless, and what is refused."""

import pytest
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.consumer import LARGEST
from apps.counter.models import LARGEST_AMOUNT, Counter, Increment
from apps.users.models import User
from kit.ids import new_id
from tests.clients import client_of
from tests.counter.test_counters import create, refused

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

EVERY_VISIBLE_CHARACTER = "".join(chr(code) for code in range(0x21, 0x7F))


@pytest.fixture
def increments(api: APIClient) -> str:
    """The address of the ledger of a counter of Ada's."""
    return f"/api/counters/{create(api)['id']}/increments/"


class TestAccept:
    def test_answers_202_with_a_receipt_and_its_address(
        self, api: APIClient, increments: str
    ) -> None:
        response = api.post(increments, {"amount": -7, "key": "monday"})

        receipt = response.json()
        assert response.status_code == 202
        assert response["Location"] == f"{increments}{receipt['id']}/"
        assert increments == f"/api/counters/{receipt['counter']}/increments/"
        assert receipt.keys() == {
            *("id", "counter", "key", "amount", "state", "result", "accepted_at", "applied_at")
        }
        assert (receipt["key"], receipt["amount"]) == ("monday", -7)
        assert (receipt["state"], receipt["result"]) == ("pending", None)
        assert receipt["applied_at"] is None
        assert receipt["accepted_at"].endswith("Z")

    def test_counts_1_under_a_key_of_the_servers_where_none_is_given(
        self, api: APIClient, increments: str
    ) -> None:
        receipts = [api.post(increments).json(), api.post(increments, {}).json()]

        assert [receipt["amount"] for receipt in receipts] == [1, 1]
        assert receipts[0]["key"] != receipts[1]["key"]

    @pytest.mark.parametrize("amount", [1, -1, LARGEST_AMOUNT, -LARGEST_AMOUNT])
    def test_takes_any_whole_number_in_range(
        self, api: APIClient, increments: str, amount: int
    ) -> None:
        assert api.post(increments, {"amount": amount}).json()["amount"] == amount

    def test_shows_the_result_once_applied(self, api: APIClient, increments: str) -> None:
        first = api.post(increments, {"amount": 5})
        second = api.post(increments, {"amount": 2})
        counter.apply_pending_increments()

        receipts = [api.get(response["Location"]).json() for response in (first, second)]

        assert [receipt["state"] for receipt in receipts] == ["applied", "applied"]
        assert [receipt["result"] for receipt in receipts] == [5, 7]
        assert all(receipt["applied_at"] > receipt["accepted_at"] for receipt in receipts)

    def test_says_that_it_was_refused_where_it_would_leave_64_bits(
        self, api: APIClient, increments: str
    ) -> None:
        Counter.objects.update(value=LARGEST - 1)
        response = api.post(increments, {"amount": 2})
        counter.apply_pending_increments()

        receipt = api.get(response["Location"]).json()

        assert (receipt["state"], receipt["result"]) == ("refused", None)
        assert receipt["applied_at"] is None


class TestKey:
    @pytest.mark.parametrize("key", ["k", "k" * 255, EVERY_VISIBLE_CHARACTER])
    @pytest.mark.parametrize("where", ["body", "header", "both"])
    def test_is_taken_from_the_body_or_the_header(
        self, api: APIClient, increments: str, key: str, where: str
    ) -> None:
        response = api.post(
            increments,
            {} if where == "header" else {"key": key},
            headers={} if where == "body" else {"Idempotency-Key": key},
        )

        assert response.status_code == 202
        assert response.json()["key"] == key

    def test_again_answers_200_with_the_receipt_as_it_now_stands(
        self, api: APIClient, increments: str
    ) -> None:
        first = api.post(increments, {"amount": 3, "key": "monday"})
        again = api.post(increments, {"amount": 3}, headers={"Idempotency-Key": "monday"})
        counter.apply_pending_increments()
        later = api.post(increments, {"amount": 3, "key": "monday"})

        assert (again.status_code, again.json()) == (200, first.json())
        assert again["Location"] == first["Location"]
        assert later.status_code == 200
        assert later.json() == api.get(first["Location"]).json()
        assert (later.json()["id"], later.json()["result"]) == (first.json()["id"], 3)
        assert Increment.objects.count() == 1

    def test_again_with_another_amount_is_422_and_changes_nothing(
        self, api: APIClient, increments: str
    ) -> None:
        first = api.post(increments, {"amount": 3, "key": "monday"})

        for amount in (-3, 4, 1):
            refused(api.post(increments, {"amount": amount, "key": "monday"}), 422)
        refused(api.post(increments, {"key": "monday"}), 422)

        assert Increment.objects.count() == 1
        assert api.get(first["Location"]).json() == first.json()

    def test_that_the_server_made_works_too(self, api: APIClient, increments: str) -> None:
        receipt = api.post(increments).json()

        again = api.post(increments, {"key": receipt["key"]})

        assert (again.status_code, again.json()) == (200, receipt)

    def test_is_of_one_counter_only_and_tells_upper_from_lower_case(
        self, api: APIClient, increments: str
    ) -> None:
        other = f"/api/counters/{create(api, 'teas')['id']}/increments/"

        statuses = [
            api.post(address, {"key": key}).status_code
            for address, key in [(increments, "k"), (other, "k"), (increments, "K")]
        ]

        assert statuses == [202, 202, 202]

    def test_is_the_same_whoever_sends_it(
        self, api: APIClient, increments: str, staff: User
    ) -> None:
        first = api.post(increments, {"key": "k"})

        again = client_of(staff).post(increments, {"key": "k"})

        assert (again.status_code, again.json()) == (200, first.json())

    def test_must_be_the_same_in_body_and_header(self, api: APIClient, increments: str) -> None:
        response = api.post(increments, {"key": "one"}, headers={"Idempotency-Key": "other"})

        assert refused(response, 400) == [("key", "keys_differ")]
        assert not Increment.objects.exists()

    @pytest.mark.parametrize(
        "key",
        ["", " ", "a b", " a", "a ", "a\n", "\t", "a\0", "\x7f", "é", "키", "👍", "k" * 256],
    )
    def test_is_refused_unless_it_is_visible_ascii(
        self, api: APIClient, increments: str, key: str
    ) -> None:
        in_body = api.post(increments, {"key": key})
        in_header = api.post(increments, headers={"Idempotency-Key": key})

        for response in (in_body, in_header):
            assert [field for field, _ in refused(response, 400)] == ["key"]
        assert not Increment.objects.exists()

    @pytest.mark.parametrize("key", [None, 5, 1.5, True, [], {}, ["k"]])
    def test_is_refused_unless_it_is_text(
        self, api: APIClient, increments: str, key: object
    ) -> None:
        response = api.post(increments, {"key": key})

        assert [field for field, _ in refused(response, 400)] == ["key"]


class TestAmount:
    @pytest.mark.parametrize(
        "amount",
        [
            *(0, LARGEST_AMOUNT + 1, -LARGEST_AMOUNT - 1, 2**31, 2**63, -(2**64), 10**400),
            *(1.0, 0.5, 1e300, "1", "", "one", None, True, False, [], {}, [1]),
        ],
    )
    def test_is_refused_unless_it_is_a_whole_number_in_range(
        self, api: APIClient, increments: str, amount: object
    ) -> None:
        response = api.post(increments, {"amount": amount})

        assert [field for field, _ in refused(response, 400)] == ["amount"]
        assert not Increment.objects.exists()

    @pytest.mark.parametrize("amount", ["1.5", "x", "0", "1" * 2_000, "1" * 5_000])
    def test_from_a_form_is_refused_too(self, api: APIClient, increments: str, amount: str) -> None:
        response = api.post(increments, {"amount": amount}, format="multipart")

        assert [field for field, _ in refused(response, 400)] == ["amount"]

    def test_may_be_left_empty_in_a_form(self, api: APIClient, increments: str) -> None:
        response = api.post(increments, {"amount": ""}, format="multipart")

        assert response.json()["amount"] == 1


class TestBody:
    def test_may_be_sent_from_a_page_of_someone_signed_in(self, ada: User, increments: str) -> None:
        """The check against forgery reads the body first."""
        browser = APIClient(enforce_csrf_checks=True)
        browser.force_login(ada)
        browser.get("/api/auth/login/")
        token = browser.get(increments, headers={"Accept": "text/html"}).cookies["csrftoken"].value

        response = browser.post(increments, {"amount": 3}, headers={"X-CSRFToken": token})

        assert (response.status_code, response.json()["amount"]) == (202, 3)

    def test_is_answered_with_indents_where_they_are_asked_for(
        self, api: APIClient, increments: str
    ) -> None:
        accepted = {"Accept": "application/json; indent=4"}

        response = api.post(increments, {"amount": 3}, headers=accepted)

        assert '\n    "amount": 3' in response.content.decode()

    @pytest.mark.parametrize(
        "body", ["{", "[]", "[1]", "1", '"k"', '{"amount": 1e999}', "1" * 5_000, "\x00"]
    )
    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
    def test_that_is_no_increment_is_refused(
        self, api: APIClient, increments: str, body: str, headers: dict[str, str]
    ) -> None:
        response = api.generic("POST", increments, body, "application/json", headers=headers)

        refused(response, 400)
        assert not Increment.objects.exists()


class TestList:
    def test_gives_the_newest_first_in_pages(self, api: APIClient, increments: str) -> None:
        ids = [api.post(increments).json()["id"] for _ in range(5)]

        first = api.get(increments, {"page_size": 3}).json()
        second = api.get(first["next"]).json()

        listed = [receipt["id"] for page in (first, second) for receipt in page["results"]]
        assert listed == ids[::-1]
        assert second["next"] is None

    def test_finds_by_key(self, api: APIClient, increments: str) -> None:
        for key in ("monday", "tuesday"):
            api.post(increments, {"key": key})

        found = api.get(increments, {"key": "monday"}).json()["results"]
        none = api.get(increments, {"key": "mon"}).json()["results"]

        assert [receipt["key"] for receipt in found] == ["monday"]
        assert none == []

    def test_finds_by_state(self, api: APIClient, increments: str) -> None:
        Counter.objects.update(value=LARGEST - 1)
        for key, amount in (("applied", 1), ("refused", 1)):
            api.post(increments, {"key": key, "amount": amount})
        counter.apply_pending_increments()
        api.post(increments, {"key": "pending"})

        for state in Increment.State.values:
            found = api.get(increments, {"state": state}).json()["results"]
            assert [(receipt["key"], receipt["state"]) for receipt in found] == [(state, state)]

    @pytest.mark.parametrize("query", ["state=lost", "state=%00", "key=%00", "cursor=x"])
    def test_refuses_what_cannot_be_looked_for(
        self, api: APIClient, increments: str, query: str
    ) -> None:
        refused(api.get(f"{increments}?{query}"), 400)

    def test_of_an_unknown_receipt_is_not_found(self, api: APIClient, increments: str) -> None:
        refused(api.get(f"{increments}{new_id()}/"), 404)
        refused(api.get(f"{increments}monday/"), 404)
