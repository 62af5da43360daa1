"""Counters over HTTP: who may see, change and delete them, and what is refused."""

from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.counter.errors import CounterNotFound
from apps.counter.models import Counter, Increment, Owner
from apps.counter.owners import COUNTERS
from apps.counter.queries import get_counter, list_counters
from apps.users.models import User
from kit.directory import Viewer
from kit.ids import new_id
from tests.clients import anonymous, client_of

pytestmark = pytest.mark.django_db(databases=["default", "counter"])


def create(client: APIClient, name: str = "coffees", **fields: Any) -> dict[str, Any]:
    response = client.post("/api/counters/", {"name": name, **fields})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def address(created: dict[str, Any]) -> str:
    return f"/api/counters/{created['id']}/"


def refused(response: Any, status: int) -> list[tuple[str, str]]:
    """The fields and codes of a problem."""
    assert response.status_code == status, response.text
    assert response["Content-Type"] == "application/problem+json"
    return [(error["field"], error["code"]) for error in response.json().get("errors", [])]


def known_of(counter: Counter) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that was read of a counter and its owner."""

    def fields(row: Counter | Owner) -> dict[str, Any]:
        return {name: value for name, value in vars(row).items() if not name.startswith("_")}

    return fields(counter), fields(counter.owner)


class TestCreate:
    def test_answers_with_the_counter_and_its_address(self, api: APIClient, ada: User) -> None:
        response = api.post("/api/counters/", {"name": "coffees"})

        body = response.json()
        assert response.status_code == 201
        assert response["Location"] == address(body)
        assert body | {"id": "", "created_at": "", "updated_at": ""} == {
            "id": "",
            "name": "coffees",
            "description": "",
            "visibility": "private",
            "owner": {"id": str(ada.id), "username": "ada"},
            "value": 0,
            "pending": {"count": 0, "amount": 0},
            "created_at": "",
            "updated_at": "",
        }

    def test_takes_what_may_be_written_and_ignores_the_rest(self, api: APIClient) -> None:
        created = create(
            api, description="since May", visibility="public", value=7, owner=str(new_id()), x=1
        )

        assert created["description"] == "since May"
        assert created["visibility"] == "public"
        assert created["value"] == 0
        assert created["owner"]["username"] == "ada"

    def test_refuses_a_name_that_one_has_already(self, api: APIClient, bob: User) -> None:
        create(api)
        create(client_of(bob))

        assert refused(api.post("/api/counters/", {"name": "coffees"}), 400) == [("name", "unique")]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "  "}, "name"),
            ({"name": None}, "name"),
            ({"name": 5}, "name"),
            ({"name": ["a"]}, "name"),
            ({"name": "a\0b"}, "name"),
            ({"name": "n" * 101}, "name"),
            ({"name": "a", "description": "d" * 1001}, "description"),
            ({"name": "a", "description": 1.5}, "description"),
            ({"name": "a", "visibility": "secret"}, "visibility"),
            ({"name": "a", "visibility": None}, "visibility"),
            ([], ""),
            ("coffees", ""),
        ],
    )
    def test_names_the_field_that_it_refuses(self, api: APIClient, body: Any, field: str) -> None:
        errors = refused(api.post("/api/counters/", body), 400)

        assert [name for name, _ in errors] == [field]

    @pytest.mark.parametrize(
        "body", ["{", "\x00", "NaN", '{"name": "a"} trailing', '{"name": "\\ud800"}']
    )
    def test_refuses_what_is_no_text(self, api: APIClient, body: str) -> None:
        refused(api.generic("POST", "/api/counters/", body, "application/json"), 400)

    def test_refuses_an_owner_who_is_being_deleted(self, api: APIClient, ada: User) -> None:
        COUNTERS.entomb(ada.id)

        refused(api.post("/api/counters/", {"name": "coffees"}), 409)

    def test_refuses_who_is_not_client_of(self) -> None:
        response = anonymous().post("/api/counters/", {"name": "coffees"})

        assert refused(response, 401) == []
        assert response["WWW-Authenticate"] == "Bearer"


class TestRead:
    def test_shows_what_is_applied_and_what_is_pending(self, api: APIClient) -> None:
        created = create(api)
        for amount in (5, 2, -3):
            api.post(address(created) + "increments/", {"amount": amount})
        counter.apply_pending_increments()
        api.post(address(created) + "increments/", {"amount": 10})

        body = api.get(address(created)).json()

        assert body["value"] == 4
        assert body["pending"] == {"count": 1, "amount": 10}

    def test_lists_ones_own_and_the_public_ones_newest_first(
        self, api: APIClient, bob: User, staff: User
    ) -> None:
        create(api, "first")
        create(api, "second")
        create(client_of(bob), "private")
        create(client_of(bob), "public", visibility="public")

        names = [each["name"] for each in api.get("/api/counters/").json()["results"]]
        all_names = [
            each["name"] for each in client_of(staff).get("/api/counters/").json()["results"]
        ]

        assert names == ["public", "second", "first"]
        assert all_names == ["public", "private", "second", "first"]

    def test_hides_those_of_an_owner_who_is_being_deleted(
        self, api: APIClient, ada: User, staff: User
    ) -> None:
        created = create(api, visibility="public")
        COUNTERS.entomb(ada.id)
        client = client_of(staff)

        assert client.get("/api/counters/").json()["results"] == []
        for method in (client.get, client.patch, client.delete):
            refused(method(address(created)), 404)
        refused(client.post(address(created) + "increments/"), 404)


class TestChange:
    def test_changes_what_is_given(self, api: APIClient) -> None:
        created = create(api, description="since May")
        api.post(address(created) + "increments/")

        response = api.patch(address(created), {"name": "teas", "value": 100})

        body = response.json()
        assert response.status_code == 200
        assert (body["name"], body["description"], body["value"]) == ("teas", "since May", 0)
        assert body["pending"] == {"count": 1, "amount": 1}
        assert body["updated_at"] > created["updated_at"]

    def test_refuses_a_name_that_one_has_already(self, api: APIClient) -> None:
        create(api, "teas")
        created = create(api, "coffees")

        assert refused(api.patch(address(created), {"name": "teas"}), 400) == [("name", "unique")]

    def test_takes_no_put(self, api: APIClient) -> None:
        refused(api.put(address(create(api)), {"name": "teas"}), 405)


class TestWhoMayWhat:
    """Someone else's private counter is not there; a public one may be read."""

    @pytest.mark.parametrize(("visibility", "status"), [("private", 404), ("public", 403)])
    def test_only_the_owner_changes_deletes_and_increments(
        self, api: APIClient, bob: User, visibility: str, status: int
    ) -> None:
        created = create(api, visibility=visibility)
        stranger = client_of(bob)

        refused(stranger.patch(address(created), {"name": "mine"}), status)
        refused(stranger.delete(address(created)), status)
        refused(stranger.post(address(created) + "increments/"), status)

        assert Counter.objects.get().name == "coffees"
        assert not Increment.objects.exists()

    @pytest.mark.parametrize(("visibility", "status"), [("private", 404), ("public", 200)])
    def test_others_read_a_public_one(
        self, api: APIClient, bob: User, visibility: str, status: int
    ) -> None:
        created = create(api, visibility=visibility)
        receipt = api.post(address(created) + "increments/").json()
        stranger = client_of(bob)

        for path in ("", "increments/", f"increments/{receipt['id']}/"):
            assert stranger.get(address(created) + path).status_code == status

    def test_one_is_read_as_it_is_listed(
        self, api: APIClient, ada: User, bob: User, staff: User, django_assert_num_queries: Any
    ) -> None:
        """The two are read by statements of their own."""
        gone = User.objects.create(username="gone")
        ids = [
            UUID(create(client_of(user), visibility, visibility=visibility)["id"])
            for user in (ada, bob, gone)
            for visibility in ("private", "public")
        ]
        for number, counter_id in enumerate(ids):
            api.post(f"/api/counters/{counter_id}/increments/", [{"amount": 5}] * number or {})
        Counter.objects.filter(owner=ada.id, visibility="public").update(deleted_at=timezone.now())
        COUNTERS.entomb(gone.id)

        for viewer in (Viewer(ada.id), Viewer(bob.id), Viewer(staff.id, is_staff=True)):
            listed = {each.id: each for each in list_counters(viewer)}
            for counter_id in ids:
                try:
                    with django_assert_num_queries(1, using="counter"):
                        one = get_counter(counter_id, viewer)
                        assert one.owner.username
                except CounterNotFound:
                    assert counter_id not in listed
                else:
                    assert known_of(one) == known_of(listed[counter_id])

    def test_staff_may_everything(self, api: APIClient, staff: User) -> None:
        created = create(api)
        client = client_of(staff)

        assert client.patch(address(created), {"name": "teas"}).status_code == 200
        assert client.post(address(created) + "increments/").status_code == 202
        assert client.delete(address(created)).status_code == 204

    def test_an_unknown_one_is_not_found(self, api: APIClient) -> None:
        for path in ("", "increments/", f"increments/{new_id()}/"):
            refused(api.get(f"/api/counters/{new_id()}/{path}"), 404)

    def test_an_increment_is_not_found_below_another_counter(self, api: APIClient) -> None:
        created, other = create(api), create(api, "teas")
        receipt = api.post(address(created) + "increments/").json()

        refused(api.get(f"{address(other)}increments/{receipt['id']}/"), 404)


class TestDelete:
    def test_removes_a_short_ledger_at_once(self, api: APIClient) -> None:
        created = create(api)
        api.post(address(created) + "increments/")

        response = api.delete(address(created))

        assert response.status_code == 204
        assert not Counter.objects.exists()
        assert not Increment.objects.exists()

    @pytest.mark.parametrize("applied", [False, True])
    def test_removes_a_long_one_in_the_background(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch, applied: bool
    ) -> None:
        monkeypatch.setattr("apps.counter.operations.CHUNK_ROWS", 2)
        created = create(api)
        for _ in range(5):
            api.post(address(created) + "increments/")
        if applied:
            counter.apply_pending_increments()

        response = api.delete(address(created))
        seen_afterwards = api.get("/api/counters/").json()["results"]

        assert response.status_code == 202
        assert seen_afterwards == []
        assert Increment.objects.count() == 3
        assert counter.purge_deleted_counters() is True
        assert counter.purge_deleted_counters() is False
        assert not Counter.objects.exists()

    def test_makes_it_unknown_to_every_call(self, api: APIClient) -> None:
        created = create(api)
        Counter.objects.update(deleted_at=created["created_at"])

        for method in (api.get, api.patch, api.delete):
            refused(method(address(created)), 404)
        for method in (api.get, api.post):
            refused(method(address(created) + "increments/"), 404)

    def test_frees_its_name(self, api: APIClient) -> None:
        created = create(api)
        Counter.objects.update(deleted_at=created["created_at"])

        assert create(api)["id"] != created["id"]
