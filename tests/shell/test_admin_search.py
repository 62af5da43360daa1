"""A search in the admin has an end, whatever is searched."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from kit.admin import LONGEST_SEARCH
from tests.factories import UserFactory
from tests.people import EVERYWHERE, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

LISTS = [
    f"{model._meta.app_label}_{model._meta.model_name}"
    for model, pages in admin.site._registry.items()
    if pages.search_fields
]
TOLD = f"A search has at most {LONGEST_SEARCH} characters."


@pytest.fixture
def browser() -> Client:
    settle("robin", rows=1)
    client = Client()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    return client


class TestSearch:
    @pytest.mark.parametrize("rows", LISTS)
    def test_is_for_so_much_only(self, browser: Client, rows: str) -> None:
        address = reverse(f"admin:{rows}_changelist")

        enough = browser.get(address, {"q": ("r " * LONGEST_SEARCH)[:LONGEST_SEARCH]})
        too_long = browser.get(address, {"q": "r " * 4_000})

        assert enough.status_code == too_long.status_code == 200
        assert TOLD not in enough.text
        assert list(too_long.context["cl"].result_list) == []

    def test_says_so(self, browser: Client) -> None:
        page = browser.get(reverse("admin:users_user_changelist"), {"q": "r " * 4_000})

        assert TOLD in page.text

    def test_is_for_so_much_only_where_a_page_asks_for_names(self, browser: Client) -> None:
        of_a_token = {"app_label": "users", "model_name": "token", "field_name": "user"}
        address = reverse("admin:autocomplete")

        found = browser.get(address, {**of_a_token, "term": "robin"})
        too_long = browser.get(address, {**of_a_token, "term": "robin " * 4_000})

        assert [row["text"] for row in found.json()["results"]] == ["robin"]
        assert too_long.json()["results"] == []
