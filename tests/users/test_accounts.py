"""Accounts over HTTP: register, look up, rename."""

import uuid
from functools import partial
from typing import Any

import pytest
from django.db import connection

from apps.users import public as users
from apps.users.models import User
from tests.clients import anonymous, client_of, send_json
from tests.factories import PASSWORD, UserFactory
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=["default"])

FIELDS = {"id", "username", "email", "created_at", "updated_at"}
ADDRESSES = ["/api/users/", "/api/user/create"]


def register(username: Any = "ada", password: Any = PASSWORD, **more: Any) -> Any:
    return anonymous().post("/api/users/", {"username": username, "password": password, **more})


def fields(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 400
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


class TestRegister:
    @pytest.mark.parametrize("address", ADDRESSES)
    def test_opens_an_account_without_signing_in(self, address: str) -> None:
        response = anonymous().post(
            address, {"username": "ada", "password": PASSWORD, "email": "ada@EXAMPLE.com"}
        )

        assert response.status_code == 201
        body = response.json()
        assert body.keys() == FIELDS
        assert (body["username"], body["email"]) == ("ada", "ada@example.com")
        assert uuid.UUID(body["id"]).version == 7
        assert body["created_at"].endswith("Z")

    def test_lets_sign_in_with_the_password(self) -> None:
        register()

        response = anonymous().post("/api/auth/tokens/", {"username": "ada", "password": PASSWORD})

        assert response.status_code == 201

    def test_makes_nobody_staff(self) -> None:
        register(is_staff=True, is_superuser=True, id=str(uuid.uuid4()))

        assert User.objects.filter(is_staff=False, is_superuser=False).count() == 1

    def test_is_limited_for_one_address(self, settings: Any) -> None:
        settings.REGISTRATIONS_PER_MINUTE = 2

        def arrive(username: str, address: str = "192.0.2.1") -> Any:
            body = {"username": username, "password": PASSWORD}
            return anonymous().post("/api/users/", body, REMOTE_ADDR=address)

        arrived = [arrive(name) for name in ("ada", "bob", "eve")]

        assert [each.status_code for each in arrived] == [201, 201, 429]
        assert 1 <= int(arrived[-1]["Retry-After"]) <= 60
        assert arrive("joe", "192.0.2.2").status_code == 201
        assert set(User.objects.values_list("username", flat=True)) == {"ada", "bob", "joe"}

    @pytest.mark.parametrize("username", ["ada", "ADA", "Ada", "\uff21da"])
    def test_refuses_a_taken_name(self, username: str) -> None:
        UserFactory.create(username="ada")

        assert fields(register(username)) == [("username", "unique")]

    @pytest.mark.django_db(databases=["default"], transaction=True)
    def test_refuses_one_of_two_that_arrive_at_once(self) -> None:
        for number in range(3):
            answers = race(
                partial(register, f"ada{number}"),
                partial(register, f"ADA{number}"),
            )

            assert sorted(response.status_code for response in answers) == [201, 400]

    def test_relies_on_the_database_to_refuse(self) -> None:
        """Broken on purpose: nothing else stands between two who arrive at once."""
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX users_username_taken")

        assert register("ada").status_code == 201
        assert register("ADA").status_code == 201

    @pytest.mark.parametrize(
        "password",
        [
            *("short", "12345678901", "password1", "adalovelace"),
            *("episepis", "Epis2026", "my-epis!", "1epis2epis3"),
        ],
    )
    def test_refuses_a_weak_password(self, password: str) -> None:
        response = register("adalovelace", password)

        assert fields(response) == [("password", "invalid")]

    @pytest.mark.parametrize("password", ["many episodes", "EPIS is a name"])
    def test_takes_one_with_more_in_it_than_the_name_of_the_service(self, password: str) -> None:
        assert register("adalovelace", password).status_code == 201

    def test_takes_no_notice_of_an_old_token(self) -> None:
        response = anonymous().post(
            "/api/users/",
            {"username": "ada", "password": PASSWORD},
            headers={"Authorization": "Bearer epis_old"},
        )

        assert response.status_code == 201

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"username": None}, "username"),
            ({"username": ""}, "username"),
            ({"username": "a b"}, "username"),
            ({"username": "a\0b"}, "username"),
            ({"username": "a" * 151}, "username"),
            ({"username": "\ufdfa"}, "username"),
            ({"username": "ﬃ" * 100}, "username"),
            ({"username": 7}, "username"),
            ({"username": False}, "username"),
            ({"username": ["ada"]}, "username"),
            ({"password": None}, "password"),
            ({"password": ""}, "password"),
            ({"password": 1234567890123}, "password"),
            ({"password": "\0" * 12}, "password"),
            ({"password": "p" * 1_001}, "password"),
            ({"email": None}, "email"),
            ({"email": "nowhere"}, "email"),
            ({"email": "a\0@example.com"}, "email"),
            ({"email": "a" * 243 + "@example.com"}, "email"),
            ({"email": 7}, "email"),
            ({"email": {}}, "email"),
        ],
    )
    def test_names_the_field_that_it_cannot_take(self, change: Any, field: str) -> None:
        account = {"username": "ada", "password": PASSWORD, "email": "ada@example.com"}

        response = send_json(anonymous(), "POST", "/api/users/", account | change)

        assert {name for name, _ in fields(response)} == {field}

    @pytest.mark.parametrize("body", [None, [], [{}], "ada", 7, True])
    def test_refuses_a_body_that_is_no_object(self, body: Any) -> None:
        assert send_json(anonymous(), "POST", "/api/users/", body).status_code == 400


class TestUser:
    def test_reads_himself(self) -> None:
        ada = UserFactory.create()
        client = client_of(ada)

        assert client.get("/api/users/me/").json().keys() == FIELDS
        assert client.get("/api/users/me/").json()["id"] == str(ada.id)
        assert client.get(f"/api/users/{ada.id}/").json() == client.get("/api/users/me/").json()

    def test_does_not_see_others(self) -> None:
        ada, other = UserFactory.create(), UserFactory.create()
        client = client_of(ada)

        listed = client.get("/api/users/").json()["results"]

        assert [user["id"] for user in listed] == [str(ada.id)]
        for method in ("get", "delete"):
            assert getattr(client, method)(f"/api/users/{other.id}/").status_code == 404
        for method in ("patch", "put"):
            response = getattr(client, method)(f"/api/users/{other.id}/", {"username": "x"})
            assert response.status_code == 404

    def test_must_sign_in(self) -> None:
        ada = UserFactory.create()

        for path in ("", "me/", f"{ada.id}/"):
            assert anonymous().get(f"/api/users/{path}").status_code == 401

    def test_renames_himself(self) -> None:
        ada = UserFactory.create(email="ada@example.com")
        before = users.feed_head()

        response = client_of(ada).patch(f"/api/users/{ada.id}/", {"username": "lovelace"})

        assert response.status_code == 200
        assert (response.json()["username"], response.json()["email"]) == (
            "lovelace",
            "ada@example.com",
        )
        assert response.json()["updated_at"] > response.json()["created_at"]
        assert [change.user_id for change in users.changes_after(before, limit=9)] == [ada.id]

    def test_may_change_the_case_of_his_name(self) -> None:
        ada = UserFactory.create(username="ada")

        response = client_of(ada).patch(f"/api/users/{ada.id}/", {"username": "Ada"})

        assert (response.status_code, response.json()["username"]) == (200, "Ada")

    def test_cannot_take_the_name_of_another(self) -> None:
        ada, other = UserFactory.create(username="ada"), UserFactory.create()

        response = client_of(other).patch(f"/api/users/{other.id}/", {"username": "ADA"})

        assert fields(response) == [("username", "unique")]
        assert users.find_user_id("ada") == ada.id

    def test_replaces_himself(self) -> None:
        ada = UserFactory.create()
        client, address = client_of(ada), f"/api/users/{ada.id}/"

        assert fields(client.put(address, {"email": "a@example.com"})) == [("username", "required")]
        replaced = client.put(address, {"username": "ada", "email": ""}).json()
        assert (replaced["username"], replaced["email"]) == ("ada", "")

    def test_cannot_change_what_is_not_his_to_change(self) -> None:
        ada = UserFactory.create(username="ada")

        response = client_of(ada).patch(
            f"/api/users/{ada.id}/",
            {"id": str(uuid.uuid4()), "is_staff": True, "created_at": "2001-01-01T00:00:00Z"},
        )

        assert response.status_code == 200
        ada.refresh_from_db()
        assert not ada.is_staff
        assert ada.created_at.year > 2001

    @pytest.mark.parametrize("body", [None, [], "ada", {"username": None}, {"username": "a\0"}])
    def test_is_not_changed_by_a_body_that_cannot_be_taken(self, body: Any) -> None:
        ada = UserFactory.create()
        client, address = client_of(ada), f"/api/users/{ada.id}/"

        assert send_json(client, "PATCH", address, body).status_code == 400
        assert send_json(client, "PUT", address, body).status_code == 400

    @pytest.mark.parametrize(
        "path", ["x/", "0/", "%00/", "me/me/", "01980000-0000-7000-8000-000000000000/"]
    )
    def test_who_does_not_exist_is_404(self, path: str) -> None:
        response = client_of(UserFactory.create(is_staff=True)).get(f"/api/users/{path}")

        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"


class TestStaff:
    def test_see_and_change_everyone(self) -> None:
        staff, ada = UserFactory.create(is_staff=True), UserFactory.create()
        client = client_of(staff)

        listed = client.get("/api/users/").json()["results"]
        changed = client.patch(f"/api/users/{ada.id}/", {"username": "renamed"})

        assert [user["id"] for user in listed] == [str(ada.id), str(staff.id)]
        assert (changed.status_code, changed.json()["username"]) == (200, "renamed")

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("ADA", ["ada"]),
            ("example.org", ["babbage", "ada"]),
            ("bb org", ["babbage"]),
            ("%", []),
            ("", ["babbage", "ada", "staff"]),
        ],
    )
    def test_search_names_and_addresses(self, search: str, found: list[str]) -> None:
        staff = UserFactory.create(username="staff", is_staff=True)
        UserFactory.create(username="ada", email="ada@example.org")
        UserFactory.create(username="babbage", email="charles@example.org")

        response = client_of(staff).get("/api/users/", {"search": search})

        assert [user["username"] for user in response.json()["results"]] == found

    def test_search_uses_its_indexes_among_many(self, django_assert_num_queries: Any) -> None:
        User.objects.bulk_create(
            User(username=f"person{number}", email=f"{uuid.uuid4()}@example.org")
            for number in range(2_000)
        )
        client = client_of(UserFactory.create(is_staff=True))
        client.get("/api/users/me/")  # signs in

        with django_assert_num_queries(2) as captured:
            client.get("/api/users/", {"search": "somebody"})

        with connection.cursor() as cursor:
            for index in ("users_username_parts", "users_email_parts"):
                cursor.execute("SELECT gin_clean_pending_list(%s)", [index])
            cursor.execute("ANALYZE users_user")
            cursor.execute(f"EXPLAIN {captured[-1]['sql']}")
            plan = str(cursor.fetchall())
        assert "users_username_parts" in plan
        assert "users_email_parts" in plan

    @pytest.mark.parametrize(("length", "status"), [(254, 200), (255, 400), (40_000, 400)])
    @pytest.mark.parametrize("words", ["a ", "x"])
    def test_searches_for_so_much_only(self, words: str, length: int, status: int) -> None:
        response = client_of(UserFactory.create()).get(
            "/api/users/", {"search": (words * length)[:length]}
        )

        assert response.status_code == status
        if status == 400:
            (error,) = response.json()["errors"]
            assert (error["field"], error["code"]) == ("search", "max_length")

    @pytest.mark.parametrize("search", ["a\0", '"', "a " * 2_000, "'" * 500])
    def test_cannot_break_it_by_searching(self, search: str) -> None:
        staff = client_of(UserFactory.create(is_staff=True))

        assert staff.get("/api/users/", {"search": search}).status_code in (200, 400)
