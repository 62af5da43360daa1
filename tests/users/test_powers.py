"""Staff do not become superusers: not by the admin, and not by anybody else's account."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from apps.users.models import Deletion, User
from tests.clients import client_of
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(databases=["default"])

NEW = "another long pass phrase"


@pytest.fixture
def root() -> User:
    return UserFactory.create(username="root", is_staff=True, is_superuser=True)


@pytest.fixture
def clerk() -> User:
    """Staff with every permission that can be given."""
    clerk: User = UserFactory.create(username="clerk", password=PASSWORD, is_staff=True)
    clerk.user_permissions.set(Permission.objects.all())
    return clerk


@pytest.fixture
def browser(clerk: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(clerk)
    return client


@pytest.fixture(params=["superuser", "staff", "superuser who is no staff"])
def above(request: Any) -> User:
    kind = request.param
    return UserFactory.create(
        username="above", is_staff="no staff" not in kind, is_superuser="superuser" in kind
    )


def page(user: User, what: str = "change") -> str:
    return reverse(f"admin:users_user_{what}", args=[user.id])


class TestApi:
    @pytest.mark.parametrize("change", [{"email": "clerk@example.com"}, {"username": "me"}])
    def test_leaves_accounts_of_staff_to_themselves(
        self, clerk: User, above: User, change: dict[str, str]
    ) -> None:
        response = client_of(clerk).patch(f"/api/users/{above.id}/", change)

        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        unchanged = User.objects.get(id=above.id)
        assert (unchanged.email, unchanged.username) == (above.email, above.username)

    def test_does_not_have_staff_delete_accounts_of_staff(self, clerk: User, above: User) -> None:
        assert client_of(clerk).delete(f"/api/users/{above.id}/").status_code == 403
        assert not Deletion.objects.exists()

    def test_lets_superusers_and_oneself_change_them(self, root: User, above: User) -> None:
        path = f"/api/users/{above.id}/"
        emails = {"by root": root, "by itself": above}

        for name, who in emails.items():
            email = f"{name.replace(' ', '-')}@example.com"
            assert client_of(who).patch(path, {"email": email}).json()["email"] == email
        assert client_of(root).delete(path).status_code == 202

    def test_lets_staff_change_everybody_else(self, clerk: User) -> None:
        path = f"/api/users/{UserFactory.create().id}/"

        assert client_of(clerk).patch(path, {"email": "ada@example.com"}).status_code == 200
        assert client_of(clerk).delete(path).status_code == 202


class TestAdmin:
    def test_does_not_let_staff_change_accounts_of_staff(
        self, browser: Client, above: User
    ) -> None:
        passwords = {"usable_password": "true", "password1": NEW, "password2": NEW}

        for response in (
            browser.post(page(above), {"username": "me", "email": "clerk@example.com"}),
            browser.post(reverse("admin:auth_user_password_change", args=[above.id]), passwords),
        ):
            assert response.status_code == 403

        unchanged = User.objects.get(id=above.id)
        assert (unchanged.username, unchanged.email, unchanged.password) == (
            above.username,
            above.email,
            above.password,
        )

    def test_does_not_let_staff_delete_accounts_of_staff(
        self, browser: Client, above: User
    ) -> None:
        ids = [above.id, UserFactory.create().id]
        action = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}

        response = browser.post(reverse("admin:users_user_changelist"), action, follow=True)

        assert "changed by itself, or by a superuser" in response.text
        assert not Deletion.objects.exists()

    def test_does_not_let_staff_give_powers(self, browser: Client, clerk: User) -> None:
        ada = UserFactory.create(username="ada")
        powers = {"is_staff": "on", "is_superuser": "on", "user_permissions": ["1"]}

        response = browser.post(
            page(ada), {"username": "ada", "email": "", "is_active": "on", **powers}
        )

        assert response.status_code == 302
        changed = User.objects.get(id=ada.id)
        assert (changed.email, changed.has_powers) == ("", False)
        assert not changed.user_permissions.exists()

    def test_shows_and_gives_groups_to_superusers_only(
        self, browser: Client, clerk: User, root: User
    ) -> None:
        group = Group.objects.create(name="clerks")
        pages = [
            reverse("admin:auth_group_changelist"),
            reverse("admin:auth_group_add"),
            reverse("admin:auth_group_change", args=[group.id]),
            reverse("admin:auth_group_delete", args=[group.id]),
        ]
        roots = Client()
        roots.force_login(root)

        assert [browser.get(each).status_code for each in pages] == [403] * 4
        assert [roots.get(each).status_code for each in pages] == [200] * 4

    def test_lets_superusers_do_all_of_it(self, root: User, above: User) -> None:
        roots = Client()
        roots.force_login(root)

        response = roots.post(
            page(above), {"username": "above", "email": "", "is_active": "on", "is_staff": "on"}
        )

        assert response.status_code == 302
        changed = User.objects.get(id=above.id)
        assert (changed.email, changed.is_superuser) == ("", False)
