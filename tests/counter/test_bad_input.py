"""Whatever is sent to be counted: taken as it says, or refused by a problem and nothing done."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some
from rest_framework.test import APIClient

from apps.counter.accepting import KEY
from apps.counter.models import LARGEST_AMOUNT, Increment
from tests.clients import send_json
from tests.counter.test_counters import refused

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

thoroughly = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

texts = some.text(max_size=20) | some.text("!~ak\x7f \n", min_size=1, max_size=300)
numbers = some.integers() | some.integers(-LARGEST_AMOUNT - 2, LARGEST_AMOUNT + 2)
json_values = some.recursive(
    some.none()
    | some.booleans()
    | numbers
    | some.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda each: some.lists(each, max_size=3) | some.dictionaries(texts, each, max_size=3),
    max_leaves=8,
)
amounts = some.integers(-LARGEST_AMOUNT, LARGEST_AMOUNT) | json_values
keys = some.text("!~akz09", min_size=1, max_size=255) | json_values
increments_sent = some.fixed_dictionaries({}, optional={"amount": amounts, "key": keys})
bodies = increments_sent | some.lists(increments_sent | json_values, max_size=4) | json_values


@pytest.fixture
def increments(tally: UUID) -> str:
    return f"/api/counters/{tally}/increments/"


def is_good(item: Any) -> bool:
    """Whether this may be counted, said once more and in other words."""
    if not isinstance(item, dict):
        return False
    amount = item.get("amount", 1)
    key = item.get("key", "x")
    return (
        isinstance(amount, int)
        and not isinstance(amount, bool)
        and 1 <= abs(amount) <= 1_000_000_000
        and isinstance(key, str)
        and 1 <= len(key) <= 255
        and all("!" <= character <= "~" for character in key)
    )


class TestAnyBody:
    @given(body=bodies)
    @example(body=[{"key": "k"}, {"key": "k", "amount": 2}])
    @example(body=[{}, {"amount": 0}])
    @example(body={"key": "\ud800"})
    @thoroughly
    def test_is_counted_or_refused(self, api: APIClient, increments: str, body: Any) -> None:
        before = Increment.objects.count()

        response = send_json(api, "POST", increments, body)

        added = Increment.objects.count() - before
        if response.status_code in (400, 422):
            refused(response, response.status_code)
            assert added == 0
        elif isinstance(body, list):
            assert response.status_code == 202
            assert all(map(is_good, body))
            assert added == response.json()["accepted"]
        else:
            assert response.status_code in (200, 202)
            assert is_good(body)
            assert added == (response.status_code == 202)
        if response.status_code == 400:
            assert body == [] or not all(map(is_good, body if isinstance(body, list) else [body]))

    @given(body=some.binary(max_size=60) | some.text('[]{}",:0123456789akmount ').map(str.encode))
    @example(body=b'{"amount": 1')
    @example(body=b"\xff\xfe")
    @example(body=b'{"amount": NaN}')
    @example(body=b'{"amount": 1, "amount": 0}')
    @example(body=b"[" * 100_000)
    @example(body=b'[{"amount":' + b"9" * 5_000 + b"}]")
    @thoroughly
    def test_that_is_hardly_json_is_no_fault_of_the_server(
        self, api: APIClient, increments: str, body: bytes
    ) -> None:
        before = Increment.objects.count()

        response = api.generic("POST", increments, body, content_type="application/json")

        added = Increment.objects.count() - before
        if response.status_code == 202:
            data = json.loads(body or b"{}")
            assert added == (len(data) if isinstance(data, list) else 1)
        else:
            refused(response, 400)
            assert added == 0


class TestAnyHeader:
    # Any that a web server hands on: of Latin-1, and without a line's end.
    values = some.text(some.characters(max_codepoint=0xFF, exclude_characters="\r\n\0"))

    @given(value=values | some.text("!~ak", min_size=250, max_size=260))
    @thoroughly
    def test_as_a_key_is_taken_or_refused(
        self, api: APIClient, increments: str, value: str
    ) -> None:
        before = Increment.objects.count()

        response = api.post(increments, headers={"Idempotency-Key": value})

        added = Increment.objects.count() - before
        if KEY.fullmatch(value):
            assert response.status_code in (200, 202)
            assert response.json()["key"] == value
            assert added == (response.status_code == 202)
        else:
            assert [field for field, _ in refused(response, 400)] == ["key"]
            assert added == 0

    @given(value=values | some.text('wait=;, "0123', min_size=1).map(lambda text: f"wait={text}"))
    @thoroughly
    def test_as_a_preference_is_understood_or_refused(
        self, api: APIClient, increments: str, value: str
    ) -> None:
        """None that would be waited for is sent: nobody applies anything meanwhile."""
        before = Increment.objects.count()

        response = api.post(increments, [{}], headers={"Prefer": value})

        added = Increment.objects.count() - before
        if response.status_code == 202:
            assert added == 1
        else:
            assert refused(response, 400) == [("Prefer", "invalid")]
            assert added == 0


class TestMediaType:
    @pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "text/csv", "x", ""])
    def test_that_is_not_read_is_refused(
        self, api: APIClient, increments: str, media_type: str
    ) -> None:
        response = api.generic("POST", increments, b'{"amount": 1}', content_type=media_type)

        refused(response, 415)
        assert not Increment.objects.exists()

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_of_another_method_does_not_matter(
        self, api: APIClient, increments: str, method: str
    ) -> None:
        refused(api.generic(method, increments, b"{}", content_type="application/json"), 405)


class TestMoment:
    @given(text=some.text(max_size=40) | some.text("0123456789-:TZ+ .", max_size=35))
    @example(text="2026-01-31T12:00:00+24:00")
    @example(text="2026-W05-6T12:00Z")
    @example(text="0000-01-01T00:00:00Z")
    @thoroughly
    def test_of_any_text_is_read_or_refused(self, api: APIClient, tally: UUID, text: str) -> None:
        response = api.get(f"/api/counters/{tally}/", {"at": text})

        if response.status_code == 200:
            assert response.json()["value"] == 0
        else:
            assert [field for field, _ in refused(response, 400)] == ["at"]
