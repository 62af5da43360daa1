"""The browsable API's pages of counters and increments: forms that work."""

import pytest
from rest_framework.test import APIClient

from apps.counter.models import Counter, Increment
from tests.counter.test_counters import address, create

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

BROWSER = {"Accept": "text/html"}


class TestBrowsablePages:
    def test_list_has_a_form_that_creates(self, api: APIClient) -> None:
        page = api.get("/api/counters/", headers=BROWSER)
        created = api.post(
            "/api/counters/",
            {"name": "teas", "description": "", "visibility": "public"},
            format="multipart",
            headers=BROWSER,
        )

        assert 'name="visibility"' in page.text
        assert created.status_code == 201
        assert Counter.objects.get().visibility == "public"

    def test_form_comes_back_with_the_message_at_its_field(self, api: APIClient) -> None:
        page = api.post("/api/counters/", {"name": ""}, format="multipart", headers=BROWSER)

        assert page.status_code == 400
        assert "may not be blank" in page.text.split("post-object-form", 2)[2]

    def test_one_has_a_form_that_changes(self, api: APIClient) -> None:
        page = api.get(address(create(api)), headers=BROWSER)

        assert 'data-method="PATCH"' in page.text
        assert "&quot;name&quot;: &quot;coffees&quot;" in page.text

    def test_increments_have_a_form_that_counts_and_one_that_filters(self, api: APIClient) -> None:
        increments = address(create(api)) + "increments/"

        page = api.get(increments, headers=BROWSER)
        counted = api.post(
            increments, {"amount": "3", "key": ""}, format="multipart", headers=BROWSER
        )

        assert 'name="amount"' in page.text
        assert '<option value="refused">' in page.text
        assert counted.status_code == 202
        assert Increment.objects.get().amount == 3
