"""Passwords: changed by who knows the present one, by an operator, or with a code from a mail."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.test import Client
from rest_framework.test import APIClient

from apps.users import public as users
from apps.users.api import views
from apps.users.models import ResetRequest, Session, Token, User
from apps.users.operations import passwords
from apps.users.operations.signing_in import check_credentials, issue_token
from tests.clients import anonymous, client_of
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(databases=["default"])

CHANGE = "/api/users/me/password/"
RESET = "/api/auth/password-reset/"
NEW = "another long pass phrase"
OTHER = "a long enough one"


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada", password=PASSWORD)


@pytest.fixture
def elsewhere(ada: User) -> Client:
    """A browser in which ada is signed in."""
    browser = Client()
    browser.post("/api/auth/login/", {"username": "ada", "password": PASSWORD})
    assert is_in(browser)
    return browser


@pytest.fixture
def mailbox(settings: Any) -> list[Any]:
    settings.MAIL_IS_SENT = True
    mail.outbox = []
    return mail.outbox


def is_in(client: Client) -> bool:
    return client.get("/api/users/me/").status_code == 200


def change(client: Client, **more: Any) -> Any:
    body = {"password": PASSWORD, "new_password": NEW, **more}
    return client.post(CHANGE, body, content_type="application/json")


def lets_in(password: str, username: str = "ada") -> bool:
    tried = anonymous().post("/api/auth/tokens/", {"username": username, "password": password})
    return bool(tried.status_code == 201)


def errors(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400, response.text
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


class TestChange:
    def test_ends_all_sessions_and_tokens_but_the_one_it_was_asked_with(
        self, ada: User, elsewhere: Client
    ) -> None:
        here, there = client_of(ada), client_of(ada)

        response = here.post(CHANGE, {"password": PASSWORD, "new_password": NEW})

        assert (response.status_code, response.content) == (204, b"")
        assert [is_in(each) for each in (here, there, elsewhere)] == [True, False, False]
        assert not Session.objects.filter(user_id=ada.id).exists()
        assert (lets_in(PASSWORD), lets_in(NEW)) == (False, True)

    def test_keeps_the_tokens_for_who_wants_that_and_ends_the_sessions(
        self, ada: User, elsewhere: Client
    ) -> None:
        here, there = client_of(ada), client_of(ada)

        here.post(CHANGE, {"password": PASSWORD, "new_password": NEW, "keep_tokens": True})

        assert [is_in(each) for each in (here, there, elsewhere)] == [True, True, False]

    def test_in_a_browser_goes_on_there_under_another_key(
        self, ada: User, elsewhere: Client
    ) -> None:
        before, token = elsewhere.cookies["sessionid"].value, client_of(ada)

        assert change(elsewhere).status_code == 204

        assert is_in(elsewhere)
        assert not is_in(token)
        assert elsewhere.cookies["sessionid"].value != before
        assert Session.objects.count() == 1

    def test_needs_the_present_password(self, ada: User) -> None:
        client = client_of(ada)

        response = client.post(CHANGE, {"password": "wrong", "new_password": NEW})

        assert errors(response) == [("password", "wrong_password")]
        assert lets_in(PASSWORD)

    def test_takes_none_that_the_validators_refuse(self, ada: User) -> None:
        for bad in ("short", "password123", "1234567890123", "ada@example.com"):
            response = client_of(ada).post(CHANGE, {"password": PASSWORD, "new_password": bad})

            assert errors(response) == [("new_password", "invalid")]
        assert lets_in(PASSWORD)

    def test_is_no_way_to_try_passwords_without_end(self, ada: User, settings: Any) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 2
        client = client_of(ada)

        tried = [client.post(CHANGE, {"password": "no", "new_password": NEW}) for _ in range(3)]

        assert [each.status_code for each in tried] == [400, 400, 429]
        assert tried[-1]["Retry-After"]

    def test_is_held_up_by_no_stranger_who_tries_the_name(self, ada: User, settings: Any) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 2
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            guess = {"username": "ada", "password": "guess"}
            anonymous().post("/api/auth/tokens/", guess, REMOTE_ADDR=address)

        response = client_of(ada).post(CHANGE, {"password": PASSWORD, "new_password": NEW})

        assert response.status_code == 204


class TestChangedMeanwhile:
    """Argon2 takes its time between the look at a password and what comes of it."""

    @pytest.fixture
    def meanwhile(self, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another password is set just after the present one was found good."""

        def behind(work: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any, **more: Any) -> Any:
                done = work(*args, **more)
                passwords.set_password(user_id=ada.id, hashed=make_password(OTHER))
                return done

            return run

        monkeypatch.setattr(views, "check_credentials", behind(check_credentials))
        monkeypatch.setattr(passwords, "checked", behind(passwords.checked))

    def test_a_password_gives_no_token(self, ada: User, meanwhile: None) -> None:
        assert not lets_in(PASSWORD)
        assert not Token.objects.exists()

    def test_a_password_sets_no_other(self, ada: User, meanwhile: None) -> None:
        response = client_of(ada).post(CHANGE, {"password": PASSWORD, "new_password": NEW})

        assert errors(response) == [("password", "wrong_password")]
        assert User.objects.get(id=ada.id).check_password(OTHER)


class TestOperator:
    @pytest.fixture
    def operator(self) -> Client:
        root = UserFactory.create(
            username="root", password=PASSWORD, is_staff=True, is_superuser=True
        )
        browser = Client()
        browser.force_login(root)
        return browser

    def test_who_sets_a_password_ends_sessions_and_tokens_of_the_account(
        self, ada: User, elsewhere: Client, operator: Client
    ) -> None:
        token = client_of(ada)
        fields = {"usable_password": "true", "password1": NEW, "password2": NEW}

        response = operator.post(f"/admin/users/user/{ada.id}/password/", fields)

        assert response.status_code == 302
        assert (is_in(elsewhere), is_in(token), is_in(operator)) == (False, False, True)
        assert lets_in(NEW)

    def test_changes_their_own_in_the_admin(self, operator: Client) -> None:
        root = User.objects.get(username="root")
        token = client_of(root)
        fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}

        response = operator.post("/admin/password_change/", fields)

        assert response.status_code == 302
        assert (is_in(operator), is_in(token)) == (True, False)
        assert lets_in(NEW, "root")

    def test_changes_their_own_while_strangers_try_the_name(
        self, operator: Client, settings: Any
    ) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 2
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            anonymous().post(
                "/api/auth/tokens/",
                {"username": "root", "password": "guess"},
                REMOTE_ADDR=address,
            )
        fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}

        assert operator.post("/admin/password_change/", fields).status_code == 302

    def test_cannot_try_their_own_without_end(self, operator: Client, settings: Any) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 1
        fields = {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW}

        tried = [operator.post("/admin/password_change/", fields) for _ in range(2)]

        assert [each.status_code for each in tried] == [200, 429]


class TestReset:
    def ask(self, username: str = "ada", **more: Any) -> Any:
        return anonymous().post(RESET, {"username": username}, **more)

    def link(self, mailbox: list[Any]) -> str:
        while users.send_reset_codes():
            pass
        (found,) = re.findall(r"https?://\S+", mailbox[-1].body)
        return str(found)

    def path(self, mailbox: list[Any]) -> str:
        return self.link(mailbox).removeprefix(django_settings.PUBLIC_URL)

    def test_mails_a_link_that_sets_a_password_and_ends_all_sign_ins(
        self, ada: User, elsewhere: Client, mailbox: list[Any]
    ) -> None:
        token = client_of(ada)

        assert self.ask("ADA").status_code == 202
        path = self.path(mailbox)
        assert mailbox[0].to == ["ada@example.com"]
        assert anonymous().get(path).json() == {"valid": True}
        response = anonymous().post(path, {"new_password": NEW})

        assert response.status_code == 200
        assert (is_in(elsewhere), is_in(token)) == (False, False)
        assert (lets_in(PASSWORD), lets_in(NEW)) == (False, True)

    def test_works_once(self, ada: User, mailbox: list[Any]) -> None:
        self.ask()
        path = self.path(mailbox)
        anonymous().post(path, {"new_password": NEW})

        again = anonymous().post(path, {"new_password": "a third long pass phrase"})

        assert errors(again) == [("code", "wrong_code")]
        assert anonymous().get(path).json() == {"valid": False}
        assert lets_in(NEW)

    def test_works_once_for_two_who_have_it(
        self, ada: User, mailbox: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ask()
        path = self.path(mailbox)

        def after_the_other(password: str, user: User) -> str:
            passwords.set_password(user_id=ada.id, hashed=make_password(OTHER))
            return make_password(password)

        monkeypatch.setattr(passwords, "checked", after_the_other)

        assert errors(anonymous().post(path, {"new_password": NEW})) == [("code", "wrong_code")]
        assert User.objects.get(id=ada.id).check_password(OTHER)

    @pytest.mark.parametrize(
        "change",
        [
            {"email": "elsewhere@example.com"},
            {"password": make_password(None)},
            {"is_active": False},
            {"closed_at": "2031-05-01T00:00Z"},
        ],
        ids=["address of mail", "password", "banned", "closed"],
    )
    def test_is_dead_once_the_account_has_changed(
        self, ada: User, mailbox: list[Any], change: dict[str, Any]
    ) -> None:
        self.ask()
        path = self.path(mailbox)
        User.objects.filter(id=ada.id).update(**change)

        assert errors(anonymous().post(path, {"new_password": NEW})) == [("code", "wrong_code")]

    def test_works_for_an_hour(
        self, ada: User, mailbox: list[Any], settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.ask()
        path = self.path(mailbox)
        assert settings.PASSWORD_RESET_TIMEOUT == 3600
        settings.PASSWORD_RESET_TIMEOUT = -1

        assert errors(anonymous().post(path, {"new_password": NEW})) == [("code", "wrong_code")]

    def test_tells_nobody_who_has_an_account(self, ada: User, mailbox: list[Any]) -> None:
        UserFactory.create(username="silent", password=PASSWORD, email="")
        UserFactory.create(username="left", password=PASSWORD, is_active=False)
        UserFactory.create(username="keyless")  # signs in by other means

        names = ("ada", "nobody", "silent", "left", "keyless")
        answers = {self.ask(name).content for name in names}
        rows = ResetRequest.objects.count()
        while users.send_reset_codes():
            pass

        assert len(answers) == 1
        assert rows == len(names)  # so the request itself did the same for each
        assert [sent.to for sent in mailbox] == [["ada@example.com"]]
        assert not ResetRequest.objects.exists()

    def test_of_somebody_else_with_a_code_of_ones_own_is_refused(
        self, ada: User, mailbox: list[Any]
    ) -> None:
        eve = UserFactory.create(username="eve", password=PASSWORD)
        self.ask("eve")
        path = self.path(mailbox).replace(str(eve.id), str(ada.id))

        assert errors(anonymous().post(path, {"new_password": NEW})) == [("code", "wrong_code")]
        assert lets_in(PASSWORD)

    def test_takes_none_that_the_validators_refuse(self, ada: User, mailbox: list[Any]) -> None:
        self.ask()

        response = anonymous().post(self.path(mailbox), {"new_password": "password123"})

        assert errors(response) == [("new_password", "invalid")]

    def test_leads_where_the_service_is_and_not_where_the_request_says(
        self, ada: User, mailbox: list[Any], settings: Any
    ) -> None:
        settings.PUBLIC_URL = "https://epis.example.org"
        settings.ALLOWED_HOSTS = ["*"]

        self.ask(headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})

        assert self.link(mailbox).startswith("https://epis.example.org/api/")

    def test_fills_nobodys_mailbox(self, ada: User, mailbox: list[Any]) -> None:
        """However the name is written: to the database the last is ada.iris, too."""
        UserFactory.create(username="ada.iris")
        names = ["ada.iris", "ADA.IRIS", "Ada.Iris", "ada.\u0131r\u0131s"]

        tried = [self.ask(name, REMOTE_ADDR=f"10.0.0.{n}") for n, name in enumerate(names)]

        assert [each.status_code for each in tried] == [202, 202, 202, 429]
        assert 1 <= int(tried[-1]["Retry-After"]) <= 3600
        assert users.find_user_id(names[-1]) == users.find_user_id(names[0]) is not None

    def test_is_asked_for_from_one_address_so_often_only(
        self, ada: User, mailbox: list[Any], settings: Any
    ) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 2

        tried = [self.ask(f"name{number}") for number in range(3)]

        assert [each.status_code for each in tried] == [202, 202, 429]

    def test_takes_no_codes_without_end(self, ada: User, mailbox: list[Any], settings: Any) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 2
        path = f"{RESET}{ada.id}/d2x-0f3a/"

        tried = [anonymous().post(path, {"new_password": NEW}) for _ in range(3)]

        assert [each.status_code for each in tried] == [400, 400, 429]

    def test_lets_in_from_there_whoever_strangers_keep_out(
        self, ada: User, mailbox: list[Any], settings: Any
    ) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 3
        for number in range(4):
            guess = {"username": "ada", "password": "guess"}
            anonymous().post("/api/auth/tokens/", guess, REMOTE_ADDR=f"10.0.0.{number}")
        assert not lets_in(PASSWORD)
        self.ask(REMOTE_ADDR="192.0.2.7")
        path = self.path(mailbox)

        anonymous().post(path, {"new_password": NEW}, REMOTE_ADDR="192.0.2.7")

        signed_in = anonymous().post(
            "/api/auth/tokens/", {"username": "ada", "password": NEW}, REMOTE_ADDR="192.0.2.7"
        )
        assert signed_in.status_code == 201

    def test_is_tried_again_later_where_the_mail_server_is_away(
        self,
        ada: User,
        mailbox: list[Any],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise ConnectionRefusedError("ada@example.com")

        self.ask()
        with monkeypatch.context() as patch:
            patch.setattr(passwords, "send_mail", refuse)
            assert users.send_reset_codes()
        assert not users.send_reset_codes()  # not at once
        ResetRequest.objects.update(next_at="2000-01-01T00:00Z")

        assert self.link(mailbox)
        assert "ada@example.com" not in caplog.text

    def test_that_cannot_be_addressed_holds_up_no_other(
        self, ada: User, mailbox: list[Any]
    ) -> None:
        eve = {"username": "eve", "password": PASSWORD, "email": f"eve@{'ä' * 60}.com"}
        assert anonymous().post("/api/users/", eve).status_code == 201
        self.ask("eve")
        self.ask("ada")

        assert self.link(mailbox)
        assert [sent.to for sent in mailbox] == [["ada@example.com"]]

    def test_is_given_up_when_its_code_would_have_expired(
        self, ada: User, mailbox: list[Any]
    ) -> None:
        self.ask()
        ResetRequest.objects.update(requested_at="2000-01-01T00:00Z")

        assert not users.send_reset_codes()
        assert not ResetRequest.objects.exists()

    def test_is_not_there_where_no_mail_is_sent(self, ada: User) -> None:
        response = self.ask()

        assert (response.status_code, response.json()["code"]) == (404, "no_mail")
        assert anonymous().get(RESET).json() == {"available": False}

    @pytest.mark.parametrize("page", [RESET, f"{RESET}{'0' * 8}-0000-0000-0000-{'0' * 12}/x-y/"])
    def test_has_pages_with_forms(self, mailbox: list[Any], page: str) -> None:
        shown = APIClient(headers={"Accept": "text/html"}).get(page)

        assert shown.status_code == 200
        assert re.search('name="(username|new_password)"', shown.text)


class TestToken:
    def test_more_than_an_account_may_have_is_refused(self, ada: User, settings: Any) -> None:
        settings.TOKENS_PER_ACCOUNT = 2
        issue_token(user_id=ada.id)
        assert lets_in(PASSWORD)

        body = {"username": "ada", "password": PASSWORD}
        refused = anonymous().post("/api/auth/tokens/", body)

        assert (refused.status_code, refused.json()["code"]) == (409, "too_many")
        assert Token.objects.count() == 2
        Token.objects.filter(user=ada).first().delete()
        assert lets_in(PASSWORD)

    def test_that_is_expired_is_not_one_of_them(self, ada: User, settings: Any) -> None:
        settings.TOKENS_PER_ACCOUNT = 1
        issue_token(user_id=ada.id, lifetime=timedelta(seconds=-1))

        assert lets_in(PASSWORD)
        assert not lets_in(PASSWORD)
