"""The admin's pages of users: what a person who runs the service can do, and what nobody can."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.admin import UserAdmin
from apps.users.events import user_changed
from apps.users.models import Deletion, DeletionStep, Session, Token, User, UserChange
from apps.users.operations.deletions import request_deletion
from tasks import cascade
from tests.clients import client_of
from tests.factories import PASSWORD, UserFactory
from tests.people import EVERYWHERE
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)


@pytest.fixture
def root() -> User:
    return UserFactory.create(username="root", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(root: User) -> Client:
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def rung() -> Iterator[list[Any]]:
    """The events that were announced."""
    heard: list[Any] = []

    def hear(signal: Any, **_: Any) -> None:
        heard.append(signal)

    user_changed.connect(hear)
    yield heard
    user_changed.disconnect(hear)


def rows_page(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row: Any) -> str:
    opts = row._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk])


def act(browser: Client, action: str, *rows: Any, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    return browser.post(rows_page(rows[0]), chosen, follow=True)


def scheduled(**user: Any) -> Deletion:
    ada = UserFactory.create(**user)
    deletion = request_deletion(user_id=ada.id)
    Deletion.objects.update(starts_at=timezone.now() + timedelta(days=1))
    return deletion


class TestLists:
    @pytest.mark.parametrize("model", [User, Token, Session, Deletion, UserChange])
    @pytest.mark.parametrize("query", ["", "?q=ada", "?q=01980000-0000-7000-8000-000000000000"])
    def test_open_and_can_be_searched(self, browser: Client, model: Any, query: str) -> None:
        client_of(UserFactory.create(username="ada"))
        scheduled()

        response = browser.get(rows_page(model) + query)

        assert response.status_code == 200

    def test_can_be_filtered(self, browser: Client) -> None:
        closed = scheduled(username="leaver")
        UserFactory.create(username="stayer")

        users_page = browser.get(rows_page(User), {"closed_at__isempty": "0"}).text
        deletions_page = browser.get(rows_page(Deletion), {"state__exact": "done"}).text

        assert "leaver" in users_page
        assert "stayer" not in users_page
        assert str(closed.id) not in deletions_page

    def test_show_no_secret(self, browser: Client, root: User) -> None:
        client_of(root)
        token = Token.objects.get()

        shown = browser.get(rows_page(Token)).text + browser.get(page_of(token)).text

        assert "digest" not in shown
        assert bytes(token.digest).hex() not in shown


class TestUser:
    def test_is_created_with_a_password(
        self, browser: Client, rung: list[Any], django_capture_on_commit_callbacks: Any
    ) -> None:
        form = {
            "username": "ada",
            "email": "ada@example.com",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }

        with django_capture_on_commit_callbacks(using="default", execute=True):
            response = browser.post(reverse("admin:users_user_add"), form)

        assert response.status_code == 302
        ada = User.objects.get(username="ada", email="ada@example.com")
        assert ada.check_password(PASSWORD)
        assert rung == [user_changed]

    def test_is_not_created_under_a_taken_name(self, browser: Client) -> None:
        UserFactory.create(username="ada")
        form = {"username": "ADA", "usable_password": "false"}

        response = browser.post(reverse("admin:users_user_add"), form)

        assert "A user with that username already exists." in response.text

    def test_is_renamed_and_the_bell_rings(
        self, browser: Client, rung: list[Any], django_capture_on_commit_callbacks: Any
    ) -> None:
        ada = UserFactory.create(username="ada")
        before = users.feed_head()

        with django_capture_on_commit_callbacks(using="default", execute=True):
            response = browser.post(page_of(ada), {"username": "lovelace", "is_active": "on"})

        assert response.status_code == 302
        assert [change.user_id for change in users.changes_after(before, limit=9)] == [ada.id]
        assert rung == [user_changed]

    def test_page_leads_to_all_there_is_of_it(self, browser: Client) -> None:
        deletion = scheduled()
        ada = User.objects.get(id=deletion.user_id)

        page = browser.get(page_of(ada)).text

        links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)"', page)]
        about_ada = [link for link in links if f"={ada.id}" in link]
        assert {link.split("?")[0] for link in about_ada} >= {
            "/admin/users/deletion/",
            "/admin/users/session/",
            "/admin/users/token/",
            "/admin/users/userchange/",
            "/admin/todos/todo/",
            "/admin/counter/counter/",
        }
        for link in about_ada:
            assert browser.get(link).status_code == 200, link

    def test_is_deleted_by_a_deletion_after_being_asked(self, browser: Client) -> None:
        people = UserFactory.create_batch(2)

        asked = act(browser, "delete_selected", *people)

        assert "Are you sure" in asked.text
        assert Deletion.objects.count() == 0

        act(browser, "delete_selected", *people, post="yes")

        assert {deletion.user_id for deletion in Deletion.objects.all()} == {
            user.id for user in people
        }
        assert User.objects.filter(closed_at=None).count() == 1
        assert User.objects.count() == 3

    def test_cannot_be_deleted_from_its_page(self, browser: Client) -> None:
        ada = UserFactory.create()
        delete_page = reverse("admin:users_user_delete", args=[ada.id])

        assert delete_page not in browser.get(page_of(ada)).text
        assert browser.post(delete_page, {"post": "yes"}).status_code == 403
        assert User.objects.filter(id=ada.id).exists()


@pytest.mark.django_db(databases=["default"], transaction=True)
class TestUserDeletedMeanwhile:
    """The deletion is requested, and commits, after the page read the row it is to save."""

    @pytest.fixture
    def ada(self, monkeypatch: pytest.MonkeyPatch) -> User:
        ada = UserFactory.create(username="ada")
        read = UserAdmin.get_object

        def read_and_delete(*args: Any) -> User | None:
            user = read(*args)
            race(lambda: self.meanwhile(ada))
            return user

        monkeypatch.setattr(UserAdmin, "get_object", read_and_delete)
        return ada

    def meanwhile(self, user: User) -> None:
        request_deletion(user_id=user.id)

    def rename(self, browser: Client, user: User) -> Any:
        return browser.post(page_of(user), {"username": "lovelace", "is_active": "on"})

    def change_password(self, browser: Client, user: User) -> Any:
        page = reverse("admin:auth_user_password_change", args=[user.id])
        form = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        return browser.post(page, {**form, "set-password": "yes"})

    def test_is_renamed_and_stays_closed(self, browser: Client, ada: User) -> None:
        assert self.rename(browser, ada).status_code == 302

        ada.refresh_from_db()
        assert ada.username == "lovelace"
        assert ada.closed_at is not None

    def test_gets_its_password_and_stays_closed(self, browser: Client, ada: User) -> None:
        assert self.change_password(browser, ada).status_code == 302

        ada.refresh_from_db()
        assert ada.check_password(PASSWORD)
        assert ada.closed_at is not None

    @pytest.mark.parametrize("change", ["rename", "change_password"])
    def test_does_not_come_back(
        self, browser: Client, ada: User, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        monkeypatch.setattr(self, "meanwhile", lambda user: User.objects.get(id=user.id).delete())

        assert getattr(self, change)(browser, ada).status_code == 404
        assert not User.objects.filter(id=ada.id).exists()


class TestSuperuser:
    def test_is_made_by_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
        call_command("createsuperuser", interactive=False, username="boss", email="", verbosity=0)

        browser = Client()
        signed_in = browser.post("/admin/login/", {"username": "boss", "password": PASSWORD})

        assert signed_in.status_code == 302
        assert browser.get("/admin/").status_code == 200

    @pytest.mark.parametrize("said", [{}, {"email": ""}, {"email": "boss@example.com"}])
    def test_needs_no_address_of_mail(self, said: dict[str, str]) -> None:
        call_command("createsuperuser", interactive=False, username="boss", verbosity=0, **said)

        assert User.objects.get(username="boss").email == said.get("email", "")

    def test_has_the_address_that_the_environment_names(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "boss@example.com")

        call_command("createsuperuser", interactive=False, username="boss", verbosity=0)

        assert User.objects.get(username="boss").email == "boss@example.com"


class TestToken:
    def test_is_revoked(self, browser: Client) -> None:
        client = client_of(UserFactory.create())

        act(browser, "revoke", Token.objects.get())

        assert client.get("/api/users/me/").status_code == 401


class TestSession:
    def test_is_ended(self, browser: Client) -> None:
        visitor, ada = Client(), UserFactory.create()
        visitor.force_login(ada)

        act(browser, "end", Session.objects.get(user_id=ada.id))

        assert visitor.get("/api/users/me/").status_code == 401
        assert browser.get("/admin/").status_code == 200

    def test_list_is_shown_to_superusers_only(self, browser: Client) -> None:
        clerk = UserFactory.create(is_staff=True)
        clerk.user_permissions.set(Permission.objects.all())
        visitor = Client()
        visitor.force_login(clerk)

        assert visitor.get(rows_page(User)).status_code == 200
        assert visitor.get(rows_page(Session)).status_code == 403


class TestDeletion:
    def test_shows_its_steps_and_its_user(self, browser: Client) -> None:
        deletion = scheduled()

        page = browser.get(page_of(deletion)).text

        assert "counter" in page
        assert page_of(User(id=deletion.user_id)) in page

    def test_is_cancelled(self, browser: Client) -> None:
        deletion = scheduled()

        response = act(browser, "cancel", deletion)

        assert f"Deletion {deletion.id} is cancelled." in response.text
        assert User.objects.get(id=deletion.user_id).closed_at is None

    def test_is_paused_and_resumed(self, browser: Client) -> None:
        deletion = scheduled()
        Deletion.objects.update(state=Deletion.State.RUNNING)

        act(browser, "pause", deletion)
        assert Deletion.objects.get().state == "paused"

        act(browser, "resume", deletion)
        assert Deletion.objects.get().state == "running"

    def test_shows_a_progress_bar_and_the_last_error(self, browser: Client) -> None:
        deletion = scheduled()
        steps = DeletionStep.objects.filter(deletion=deletion)
        Deletion.objects.update(state=Deletion.State.RUNNING)
        steps.update(state="running", total=4_000, deleted=1_000, rate=50)
        steps.filter(app="todos").update(failures=3, last_error="the disk is <full>")

        page, rows = browser.get(page_of(deletion)).text, browser.get(rows_page(Deletion)).text

        assert "the disk is &lt;full&gt;" in page
        for text in (page, rows):
            assert '<progress max="1" value="0.250">25%</progress> 25%' in text
            assert "6,000 rows left, 100 a second, 0:01:00 to go, todos failed 3 time(s)" in text

    @pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
    def test_certificates_are_verified(self, browser: Client) -> None:
        deletion, other = scheduled(), scheduled()
        Deletion.objects.filter(id=other.id).update(state=Deletion.State.PAUSED)
        Deletion.objects.update(starts_at=timezone.now())
        cascade.advance_deletions()

        page = act(browser, "verify", deletion, other).text
        assert "Certificates that hold: 1. Not done yet: 1." in page

        User.objects.create(id=deletion.user_id, username="revenant")
        page = act(browser, "verify", deletion).text
        assert f"Deletion {deletion.id}: the account is there." in page
        assert '<li class="warning">Certificates that hold: 0. Not done yet: 0.' in page

    @pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
    def test_certificates_are_verified_a_page_at_a_time(
        self, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.users.admin.PAGE_ROWS", 1)
        deletions = [scheduled(), scheduled()]
        Deletion.objects.update(starts_at=timezone.now())
        cascade.advance_deletions()
        rows_left, pages = TODOS.rows_left, []

        def look(ids: Any) -> Any:
            pages.append(ids)
            return rows_left(ids)

        monkeypatch.setattr(TODOS, "rows_left", look)

        page = act(browser, "verify", *deletions).text

        assert '<li class="success">Certificates that hold: 2. Not done yet: 0.' in page
        assert [len(ids) for ids in pages] == [1, 1]

    @pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
    def test_certificates_are_not_verified_while_a_database_is_down(
        self, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deletion = scheduled()
        Deletion.objects.update(starts_at=timezone.now())
        cascade.advance_deletions()

        def refuse(_: Any) -> None:
            raise OperationalError("connection refused")

        monkeypatch.setattr(TODOS, "rows_left", refuse)

        response = act(browser, "verify", deletion)

        assert response.status_code == 200
        assert "A database does not answer. Verified before that: 0." in response.text

    def test_says_what_its_state_does_not_allow(self, browser: Client) -> None:
        deletion = scheduled()

        response = act(browser, "resume", deletion)

        assert "The deletion is scheduled; that does not allow this." in response.text

    def test_is_not_steered_without_permission(self) -> None:
        clerk = UserFactory.create(is_staff=True)
        clerk.user_permissions.set(Permission.objects.filter(codename="view_deletion"))
        visitor, deletion = Client(), scheduled()
        visitor.force_login(clerk)

        act(visitor, "cancel", deletion)
        page = act(visitor, "verify", deletion).text

        assert "Certificates" not in page
        assert visitor.get(page_of(deletion)).status_code == 200
        assert Deletion.objects.get().state == "scheduled"


class TestReadOnly:
    @pytest.mark.parametrize("model", [Token, Session, Deletion, UserChange])
    def test_rows_can_be_neither_added_changed_nor_deleted(
        self, browser: Client, root: User, model: Any
    ) -> None:
        client_of(root)
        scheduled()
        row = model.objects.first()
        before = model.objects.filter(pk=row.pk).values().get()
        name = f"admin:users_{model._meta.model_name}"

        added = browser.post(reverse(f"{name}_add"), {"state": "done"})
        changed = browser.post(page_of(row), {"state": "done", "name": "x"})
        deleted = browser.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"})

        assert {added.status_code, changed.status_code, deleted.status_code} == {403}
        assert model.objects.filter(pk=row.pk).values().get() == before
