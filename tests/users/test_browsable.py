"""The browsable API of the users: pages that open, and forms that work."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.users.models import User
from tests.factories import PASSWORD, UserFactory

# Not the choice whether an account has one.
PASSWORDS = re.compile(r'<input[^>]*name="(?!usable)[^"]*password[^"]*"[^>]*>')

pytestmark = pytest.mark.django_db(databases=["default"])


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada", password=PASSWORD)


@pytest.fixture
def browser(ada: User) -> Client:
    """One that has signed in, checks for cross-site requests, and asks for HTML."""
    client = Client(enforce_csrf_checks=True, headers={"Accept": "text/html"})
    client.force_login(ada)
    return client


def submit(browser: Client, page: str, fields: dict[str, str], *, method: str = "POST") -> Any:
    """Send a form of this page, as the page's own script does."""
    (token, *_) = re.findall(r'csrfToken"?: "(\w+)"', browser.get(page).text)
    headers = {"X-CSRFToken": token}
    if method == "POST":
        return browser.post(page, fields, headers=headers)
    body = "&".join(f"{name}={value}" for name, value in fields.items())
    return browser.generic(method, page, body, "application/x-www-form-urlencoded", headers=headers)


class TestPages:
    def test_open_with_their_forms(self, browser: Client, ada: User) -> None:
        token = submit(browser, "/api/auth/tokens/", {"username": "ada", "password": PASSWORD})
        (token_id,) = re.findall(r"&quot;id&quot;: &quot;([-0-9a-f]+)", token.text)
        pages = {
            "/api/users/": 'name="password"',
            "/api/users/me/": "ada@example.com",
            f"/api/users/{ada.id}/": 'value="ada"',
            "/api/auth/tokens/": 'name="expires_in"',
            f"/api/auth/tokens/{token_id}/": 'data-method="DELETE"',
        }

        for page, shown in pages.items():
            response = browser.get(page)
            assert response.status_code == 200, page
            assert shown in response.text, page

    @pytest.mark.parametrize(
        "page",
        [
            *["/api/users/", "/api/auth/tokens/", "/api/users/me/password/", "/api/auth/login/"],
            *["/admin/password_change/", "/admin/users/user/add/"],
        ],
    )
    def test_mask_every_password(self, page: str) -> None:
        browser = Client(headers={"Accept": "text/html"})
        browser.force_login(UserFactory.create(is_staff=True, is_superuser=True))

        fields = PASSWORDS.findall(browser.get(page).text)

        assert fields
        assert [field for field in fields if 'type="password"' not in field] == []

    def test_of_a_deletion_opens_for_anyone(self, browser: Client, ada: User) -> None:
        deleted = submit(browser, f"/api/users/{ada.id}/", {}, method="DELETE")

        page = Client(headers={"Accept": "text/html"}).get(deleted["Location"])

        assert (deleted.status_code, page.status_code) == (202, 200)
        assert "scheduled" in page.text

    def test_that_needs_a_sign_in_leads_to_it(self) -> None:
        response = Client(headers={"Accept": "text/html"}).get("/api/users/me/")

        assert response.status_code == 401
        assert "/api/auth/login/?next=/api/users/me/" in response.text

    @pytest.mark.parametrize("page", ["/api/users/", "/api/user/create"])
    def test_have_the_form_to_register_for_whoever_is_not_signed_in(self, page: str) -> None:
        response = Client(headers={"Accept": "text/html"}).get(page)

        assert response.status_code == 401
        assert 'name="password"' in response.text


class TestForms:
    def test_register(self, browser: Client) -> None:
        account = {"username": "grace", "password": PASSWORD, "email": ""}

        response = submit(browser, "/api/users/", account)

        assert response.status_code == 201
        assert User.objects.filter(username="grace").exists()

    def test_rename(self, browser: Client, ada: User) -> None:
        page = f"/api/users/{ada.id}/"

        response = submit(browser, page, {"username": "lovelace"}, method="PUT")

        assert response.status_code == 200
        ada.refresh_from_db()
        assert ada.username == "lovelace"

    def test_tell_what_is_wrong_with_a_field(self, browser: Client) -> None:
        response = submit(browser, "/api/users/", {"username": "a b", "password": PASSWORD})

        assert response.status_code == 400
        assert "Enter a valid username" in response.text

    def test_are_refused_from_another_site(self, browser: Client, ada: User) -> None:
        response = browser.delete(f"/api/users/{ada.id}/")

        assert response.status_code == 403
        assert "CSRF" in response.text

    def test_sign_out(self, browser: Client) -> None:
        page = browser.get("/api/users/me/").text
        (form,) = re.findall(r'<form id="logoutForm" method="post" action="([^"?]+)', page)
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[:1]

        response = browser.post(form, {"csrfmiddlewaretoken": token})

        assert response.status_code == 302
        assert browser.get("/api/users/me/").status_code == 401
