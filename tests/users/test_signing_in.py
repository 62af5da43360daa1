"""Signing in: tokens over HTTP, the pages with a form, and the limit on tries."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.users.models import KnownAddress, Session, SignInTries, Token, User
from apps.users.operations import signing_in
from apps.users.operations.signing_in import (
    clear_expired_sign_ins,
    count_sign_in_try,
    issue_token,
    use_token,
)
from apps.users.queries import FIND_SIGN_IN, OF_ACCOUNT, OF_TOKEN, find_live_tokens
from kit.errors import TooManyTries
from tests.clients import anonymous, client_of, send_json
from tests.factories import PASSWORD, UserFactory
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=["default"])

TOKENS = "/api/auth/tokens/"
PAGES = ["/api/auth/login/", "/admin/login/"]
TRIES = 3


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada", password=PASSWORD, is_staff=True)


@pytest.fixture
def few_tries(settings: Any) -> None:
    settings.SIGN_IN_TRIES_PER_MINUTE = TRIES


def sign_in(username: str = "ada", password: str = PASSWORD, **more: Any) -> Any:
    address = more.pop("address", "127.0.0.1")
    body = {"username": username, "password": password, **more}
    return anonymous().post(TOKENS, body, REMOTE_ADDR=address)


def me(token: str) -> Any:
    return anonymous().get("/api/users/me/", headers={"Authorization": f"Bearer {token}"})


class TestSignIn:
    def test_gives_a_token_that_lets_in(self, ada: User) -> None:
        response = sign_in(name="laptop")

        assert response.status_code == 201
        body = response.json()
        assert body.keys() == {"id", "token", "name", "expires_at"}
        assert (body["name"], body["expires_at"]) == ("laptop", None)
        assert me(body["token"]).json()["id"] == str(ada.id)

    def test_keeps_the_token_only_as_a_hash(self, ada: User) -> None:
        secret = sign_in().json()["token"]

        with connection.cursor() as cursor:
            cursor.execute("SELECT t::text FROM users_token t")
            (row,) = cursor.fetchone()
        assert str(ada.id) in row
        part = secret[8:16]
        assert part not in row
        assert part.encode().hex() not in row

    def test_is_logged_by_the_id_and_the_address_and_without_what_was_typed(
        self, ada: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "apps.users.backends")

        sign_in(address="192.0.2.7")
        sign_in("my password by mistake", "wrong", address="192.0.2.8")

        assert f"User {ada.id} signed in from 192.0.2.7" in caplog.text
        assert "A sign-in from 192.0.2.8 was refused" in caplog.text
        assert "mistake" not in caplog.text

    def test_takes_a_name_however_it_is_composed(self, ada: User) -> None:
        UserFactory.create(username="andré", password=PASSWORD)

        assert sign_in("andre\u0301").status_code == 201

    def test_takes_no_notice_of_an_old_token(self, ada: User) -> None:
        response = anonymous().post(
            TOKENS,
            {"username": "ada", "password": PASSWORD},
            headers={"Authorization": "Bearer epis_old"},
        )

        assert response.status_code == 201

    def test_gives_a_token_that_expires(self, ada: User) -> None:
        body = sign_in(expires_in=3600).json()

        expires_at = parse_datetime(body["expires_at"])
        assert expires_at is not None
        assert abs(expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
        assert me(body["token"]).status_code == 200

        Token.objects.update(expires_at=timezone.now())
        assert me(body["token"]).status_code == 401

    @pytest.mark.parametrize(
        "credentials",
        [
            {"username": "ada", "password": "wrong"},
            {"username": "nobody", "password": PASSWORD},
            {"username": "left", "password": PASSWORD},
        ],
        ids=["password", "unknown", "inactive"],
    )
    def test_is_refused_alike_whatever_is_wrong(self, ada: User, credentials: Any) -> None:
        UserFactory.create(username="left", password=PASSWORD, is_active=False)

        response = sign_in(**credentials)

        assert response.status_code == 401
        assert response["Content-Type"] == "application/problem+json"
        assert response["WWW-Authenticate"] == "Bearer"
        assert response.json() == {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": "The username or the password is wrong.",
            "code": "authentication_failed",
        }

    def test_hashes_as_often_for_an_unknown_name(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Hashing takes nearly all of the time, which would give away who has an account."""
        hashed: list[str] = []

        def counting(work: Callable[..., Any]) -> Callable[..., Any]:
            def run(hasher: Argon2PasswordHasher, password: str, *rest: Any) -> Any:
                hashed.append(password)
                return work(hasher, password, *rest)

            return run

        for name in ("encode", "verify"):
            work = getattr(Argon2PasswordHasher, name)
            monkeypatch.setattr(Argon2PasswordHasher, name, counting(work))
        sign_in("ada", "of a known name")
        sign_in("nobody", "of an unknown name")

        assert hashed == ["of a known name", "of an unknown name"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (None, ""),
            ([], ""),
            ("ada", ""),
            (7, ""),
            ({}, "username"),
            ({"username": None, "password": PASSWORD}, "username"),
            ({"username": "", "password": PASSWORD}, "username"),
            ({"username": "a\0", "password": PASSWORD}, "username"),
            ({"username": "a" * 151, "password": PASSWORD}, "username"),
            ({"username": 7, "password": PASSWORD}, "username"),
            ({"username": True, "password": PASSWORD}, "username"),
            ({"username": ["ada"], "password": PASSWORD}, "username"),
            ({"username": {"ada": 1}, "password": PASSWORD}, "username"),
            ({"username": "ada"}, "password"),
            ({"username": "ada", "password": None}, "password"),
            ({"username": "ada", "password": 7}, "password"),
            ({"username": "ada", "password": "\0"}, "password"),
            ({"username": "ada", "password": "p" * 1_001}, "password"),
            ({"username": "ada", "password": PASSWORD, "name": "n" * 101}, "name"),
            ({"username": "ada", "password": PASSWORD, "name": None}, "name"),
            ({"username": "ada", "password": PASSWORD, "name": 1.5}, "name"),
            ({"username": "ada", "password": PASSWORD, "expires_in": 0}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": -1}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": 1.5}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": True}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": "soon"}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": 10**30}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": 1e300}, "expires_in"),
            ({"username": "ada", "password": PASSWORD, "expires_in": [1]}, "expires_in"),
        ],
    )
    def test_names_the_field_that_it_cannot_take(self, body: Any, field: str) -> None:
        response = send_json(anonymous(), "POST", TOKENS, body)

        assert response.status_code == 400
        assert field in {error["field"] for error in response.json()["errors"]}


class TestToken:
    def test_is_listed_without_its_secret(self, ada: User) -> None:
        secret = sign_in(name="laptop").json()["token"]
        UserFactory.create_batch(2)

        response = anonymous().get(TOKENS, headers={"Authorization": f"Bearer {secret}"})

        (token,) = response.json()["results"]
        assert token.keys() == {"id", "name", "created_at", "expires_at", "last_used_at"}
        assert token["name"] == "laptop"
        assert token["last_used_at"] is not None
        assert secret not in response.text

    def test_that_was_never_used_says_so(self, ada: User) -> None:
        client, unused = client_of(ada), sign_in().json()["id"]

        assert client.get(f"{TOKENS}{unused}/").json()["last_used_at"] is None

    def test_notes_its_last_use_at_most_once_a_minute(self, ada: User) -> None:
        client = client_of(ada)
        client.get("/api/users/me/")
        noted = Token.objects.get().last_used_at

        client.get("/api/users/me/")
        assert Token.objects.get().last_used_at == noted

        long_ago = timezone.now() - timedelta(seconds=61)
        Token.objects.update(last_used_at=long_ago)
        client.get("/api/users/me/")
        assert Token.objects.get().last_used_at not in (noted, long_ago)

    def test_notes_a_use_once_though_two_processes_looked_before_it_was_noted(
        self, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, secret = issue_token(user_id=ada.id)
        noted: list[datetime | None] = []

        def look_and_fall_behind(*args: Any) -> dict[bytes, Token]:
            monkeypatch.setattr(signing_in, "find_live_tokens", find_live_tokens)
            live = find_live_tokens(*args)
            use_token(secret)  # by the other one
            noted.append(Token.objects.get().last_used_at)
            return live

        monkeypatch.setattr(signing_in, "find_live_tokens", look_and_fall_behind)

        assert use_token(secret) is not None
        assert [Token.objects.get().last_used_at] == noted != [None]

    def test_lets_nobody_in_once_revoked(self, ada: User) -> None:
        body = sign_in().json()

        response = client_of(ada).delete(f"{TOKENS}{body['id']}/")

        assert (response.status_code, response.content) == (204, b"")
        assert me(body["token"]).status_code == 401

    def test_of_somebody_else_is_not_there(self, ada: User) -> None:
        body = sign_in().json()
        stranger = client_of(UserFactory.create(is_staff=True))

        assert stranger.get(f"{TOKENS}{body['id']}/").status_code == 404
        assert stranger.delete(f"{TOKENS}{body['id']}/").status_code == 404
        assert me(body["token"]).status_code == 200

    @pytest.mark.parametrize("secret", ["", "x", "epis_", "Bearer", "a b", "é" * 10, "0" * 5_000])
    def test_that_is_not_known_is_refused(self, secret: str) -> None:
        response = me(secret)

        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert response.json()["code"] == "authentication_failed"

    def test_lets_nobody_in_while_the_account_is_inactive(self, ada: User) -> None:
        client = client_of(ada)
        User.objects.update(is_active=False)

        assert client.get("/api/users/me/").status_code == 401

    def test_list_is_for_the_signed_in(self) -> None:
        response = anonymous().get(TOKENS)

        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


@pytest.mark.usefixtures("few_tries")
class TestTries:
    def test_from_one_address_are_limited(self, ada: User) -> None:
        for number in range(TRIES):
            assert sign_in(f"name{number}").status_code == 401

        response = sign_in()

        assert response.status_code == 429
        assert response.json()["code"] == "throttled"
        assert 1 <= int(response["Retry-After"]) <= 60
        assert sign_in(address="127.0.0.2").status_code == 201

    def test_are_taken_again_as_soon_as_was_told_and_no_sooner(self, ada: User) -> None:
        for _ in range(TRIES + 1):
            sign_in(password="wrong")
        over_at = timezone.now() + timedelta(seconds=10.4)
        SignInTries.objects.update(window_ends_at=over_at)

        wait = timedelta(seconds=int(sign_in()["Retry-After"]))

        assert timedelta() <= timezone.now() + wait - over_at < timedelta(seconds=2)

    def test_of_one_name_are_limited_whatever_the_address_and_case(self, ada: User) -> None:
        for number in range(TRIES):
            assert sign_in("ADA", address=f"10.0.0.{number}").status_code == 401

        assert sign_in(address="10.0.1.1").status_code == 429
        assert sign_in("nobody", address="10.0.1.2").status_code == 401

    def test_of_strangers_keep_nobody_out_who_signed_in_from_there_before(self, ada: User) -> None:
        """A stranger who goes on for ever uses up what a name is allowed, and no more than that."""
        assert sign_in(address="192.0.2.7").status_code == 201

        for number in range(TRIES + 2):
            sign_in(password="wrong", address=f"10.0.0.{number}")

        assert sign_in(address="10.0.1.1").status_code == 429
        assert sign_in(address="192.0.2.7").status_code == 201

    def test_from_where_somebody_signed_in_before_are_limited_too(self, ada: User) -> None:
        sign_in(address="192.0.2.7")

        tried = [sign_in(password="wrong", address="192.0.2.7") for _ in range(TRIES)]

        assert [each.status_code for each in tried] == [401, 401, 429]

    def test_from_one_address_are_limited_though_it_is_known_to_one_of_the_names(
        self, ada: User
    ) -> None:
        sign_in(address="192.0.2.7")

        tried = [sign_in(f"name{number}", address="192.0.2.7") for number in range(TRIES)]

        assert [each.status_code for each in tried] == [401, 401, 429]

    def test_are_not_of_a_known_address_a_month_later(self, ada: User) -> None:
        sign_in(address="192.0.2.7")
        KnownAddress.objects.update(last_at=timezone.now() - timedelta(days=31))
        clear_expired_sign_ins()

        for number in range(TRIES):
            sign_in(password="wrong", address=f"10.0.0.{number}")

        assert sign_in(address="192.0.2.7").status_code == 429

    def test_are_counted_while_the_broker_is_down(self, ada: User, settings: Any) -> None:
        settings.BROKER_URL = "redis://127.0.0.1:1/0"

        tried = [sign_in(password="wrong").status_code for _ in range(TRIES + 1)]

        assert tried == [401, 401, 401, 429]

    def test_are_allowed_again_when_the_minute_is_over(self, ada: User) -> None:
        for _ in range(TRIES + 1):
            refused = sign_in(password="wrong")
        assert refused.status_code == 429

        with connection.cursor() as cursor:
            cursor.execute("UPDATE users_signintries SET window_ends_at = now()")

        assert sign_in().status_code == 201

    @pytest.mark.parametrize("page", PAGES)
    def test_on_the_pages_with_a_form_count_too(self, ada: User, page: str) -> None:
        browser = Client(raise_request_exception=False, headers={"Accept": "text/html"})
        for _ in range(TRIES):
            browser.post(page, {"username": "ada", "password": "wrong"})

        response = browser.post(page, {"username": "ada", "password": PASSWORD})

        assert response.status_code == 429
        assert "Too many tries" in response.text
        assert sign_in().status_code == 429


@pytest.mark.django_db(databases=["default"], transaction=True)
class TestTriesAtOnce:
    def test_are_counted_one_by_one_by_however_many_connections(self, settings: Any) -> None:
        settings.SIGN_IN_TRIES_PER_MINUTE = 5

        def count() -> None:
            count_sign_in_try(username="ada", address="192.0.2.7")

        told = race(*[count] * 8, errors_as_values=True)

        assert sum(isinstance(each, TooManyTries) for each in told) == 3


class TestPage:
    @pytest.mark.parametrize("page", PAGES)
    def test_signs_in(self, ada: User, page: str) -> None:
        browser = Client()

        response = browser.post(page, {"username": "ada", "password": PASSWORD})

        assert response.status_code == 302
        assert browser.get("/api/users/me/").json()["id"] == str(ada.id)

    @pytest.mark.parametrize("page", PAGES)
    def test_refuses_wrong_credentials(self, ada: User, page: str) -> None:
        browser = Client()

        response = browser.post(page, {"username": "ada", "password": "wrong"})

        assert "Please enter" in response.text
        assert browser.get("/api/users/me/").status_code == 401

    @pytest.mark.parametrize("page", PAGES)
    def test_gives_a_new_key_to_whoever_signs_in(self, ada: User, page: str) -> None:
        browser, planted = Client(), Client()
        planted.force_login(UserFactory.create())
        browser.cookies["sessionid"] = planted.cookies["sessionid"].value

        browser.post(page, {"username": "ada", "password": PASSWORD})

        assert browser.get("/api/users/me/").json()["id"] == str(ada.id)
        assert planted.get("/api/users/me/").status_code == 401

    def test_leaves_nothing_in_the_database_that_would_let_anybody_in(self, ada: User) -> None:
        browser, thief = Client(), Client()
        browser.post("/api/auth/login/", {"username": "ada", "password": PASSWORD})
        key = browser.cookies["sessionid"].value

        with connection.cursor() as cursor:
            cursor.execute("SELECT session_key, s::text FROM users_session s")
            ((kept, row),) = cursor.fetchall()
        thief.cookies["sessionid"] = kept
        assert browser.get("/api/users/me/").status_code == 200
        assert thief.get("/api/users/me/").status_code == 401
        assert key not in row

    def test_lets_nobody_in_once_its_session_has_expired(self, ada: User) -> None:
        browser = Client()
        browser.force_login(ada)
        Session.objects.update(expire_date=timezone.now())

        assert browser.get("/api/users/me/").status_code == 401

    def test_signs_out_whoever_still_has_the_key(self, ada: User) -> None:
        browser, copied = Client(), Client()
        browser.force_login(ada)
        copied.cookies["sessionid"] = browser.cookies["sessionid"].value
        assert copied.get("/api/users/me/").status_code == 200

        assert browser.post("/api/auth/logout/").status_code == 302
        assert browser.get("/api/users/me/").status_code == 401
        assert copied.get("/api/users/me/").status_code == 401


class TestWhoSendsARequest:
    @pytest.mark.parametrize(("model", "names"), [(Token, OF_TOKEN), (User, OF_ACCOUNT)])
    def test_is_read_in_the_order_of_the_fields(
        self, model: type[Token | User], names: tuple[str, ...]
    ) -> None:
        """Django gives the values to the fields in this order, whatever they are called."""
        fields = [field.attname for field in model._meta.concrete_fields]

        assert names == tuple(field for field in fields if field in names)
        [columns] = re.findall("SELECT (.*) FROM", " ".join(FIND_SIGN_IN.split()))
        read = [column.split(".") for column in columns.split(", ")]
        owner = {Token: "token", User: "account"}[model]
        assert [name for where, name in read if where == owner] == list(names)

    def test_of_one_who_has_changed_gives_the_account_as_it_is(self, ada: User) -> None:
        _, secret = issue_token(user_id=ada.id)
        User.objects.filter(id=ada.id).update(username="countess", is_staff=False)

        token = use_token(secret)

        assert token is not None
        account = token.user
        assert (account.id, account.username, account.is_staff) == (ada.id, "countess", False)
        assert account.email == User.objects.get().email  # read only now
