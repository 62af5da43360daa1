"""A search in the admin has an end, and its filters are those that it offers."""

import re
from html import unescape

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from apps.users.models import User
from kit.admin import LONGEST_SEARCH
from tests.factories import UserFactory
from tests.people import EVERYWHERE, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

LISTS = {
    f"{model._meta.app_label}_{model._meta.model_name}": pages
    for model, pages in admin.site._registry.items()
}
SEARCHED = [name for name, pages in LISTS.items() if pages.search_fields]
FILTERED = [name for name, pages in LISTS.items() if pages.list_filter]
LINK = re.compile(r'href="(/admin/[^"?]+\?[^"]+=[^"]+)"')
TOLD = f"A search has at most {LONGEST_SEARCH} characters."


@pytest.fixture
def browser() -> Client:
    settle("robin", rows=1)
    client = Client()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    return client


class TestSearch:
    @pytest.mark.parametrize("rows", SEARCHED)
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


class TestFilter:
    @pytest.mark.parametrize(
        ("rows", "asked"),
        [
            ("users_user", "username__regex=(a%2B)%2B"),
            ("users_user", "email__startswith=a"),
            ("users_user", "password__startswith=argon2"),
            ("users_user", "created_at__year=9999999999"),
            ("users_token", "digest=x"),
            ("users_token", "digest__exact=x"),
            ("users_token", "user__id__regex=a"),
            ("users_session", "session_key__startswith=a"),
            ("todos_todo", "title__iregex=("),
        ],
    )
    def test_is_none_of_ours(self, browser: Client, rows: str, asked: str) -> None:
        assert browser.get(f"{reverse(f'admin:{rows}_changelist')}?{asked}").status_code == 400

    @pytest.mark.parametrize("rows", FILTERED)
    def test_works_that_a_page_offers(self, browser: Client, rows: str) -> None:
        page = browser.get(reverse(f"admin:{rows}_changelist"))

        offered = [
            choice["query_string"]
            for spec in page.context["cl"].filter_specs
            for choice in spec.choices(page.context["cl"])
        ]
        for query in offered:
            assert browser.get(page.request["PATH_INFO"] + query).status_code == 200, query

    def test_works_to_which_a_page_links(self, browser: Client) -> None:
        user = User.objects.get(username="robin")
        page = browser.get(reverse("admin:users_user_change", args=[user.id]))

        links = LINK.findall(page.text)

        assert len(links) > 5
        for link in links:
            assert browser.get(unescape(link)).status_code == 200, link
