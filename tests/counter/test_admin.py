"""The admin's pages of the counter app, for the people who run the service."""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client as Browser
from django.utils import timezone

from apps.counter import public as counter
from apps.counter.models import Counter, Increment, Owner
from apps.users.models import User
from kit.admin import FirstRows

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

COUNTERS = "/admin/counter/counter/"
INCREMENTS = "/admin/counter/increment/"


@pytest.fixture
def admin(staff: User) -> Browser:
    browser = Browser()
    browser.force_login(staff)
    return browser


@pytest.fixture
def tally(ada: User) -> UUID:
    counter_id = counter.open_counter(owner_id=ada.id, name="tally", description="of cups")
    counter.increment(counter_id=counter_id, owner_id=ada.id, amount=5, key="applied")
    counter.apply_pending_increments()
    counter.increment(counter_id=counter_id, owner_id=ada.id, amount=37, key="pending")
    return counter_id


class TestCounters:
    @pytest.mark.parametrize("query", ["", "q=tall", "q=ADA", "visibility__exact=private"])
    def test_list_finds_and_shows_what_is_applied_and_pending(
        self, admin: Browser, tally: UUID, query: str
    ) -> None:
        page = admin.get(f"{COUNTERS}?{query}").text

        assert f"{COUNTERS}{tally}/change/" in page
        assert '<td class="field-value">5</td>' in page
        assert "+37 in 1" in page

    def test_list_leaves_out_what_is_not_looked_for(self, admin: Browser, tally: UUID) -> None:
        for query in ("q=nothing", "visibility__exact=public", "deleted_at__isempty=0"):
            assert str(tally) not in admin.get(f"{COUNTERS}?{query}").text

    def test_links_to_the_ledger_the_owner_and_the_user(
        self, admin: Browser, tally: UUID, ada: User
    ) -> None:
        page = admin.get(f"{COUNTERS}{tally}/change/").text
        owner = f"/admin/counter/owner/{ada.id}/change/"

        assert f"{INCREMENTS}?counter__id__exact={tally}" in page
        assert owner in page
        assert f"/admin/users/user/{ada.id}/change/" in admin.get(owner).text
        assert "applied" in admin.get(f"{INCREMENTS}?counter__id__exact={tally}").text

    def test_changes_what_it_is_called_and_never_its_value(
        self, admin: Browser, tally: UUID
    ) -> None:
        response = self.change(admin, tally, name="cups", value="1000")

        assert response.status_code == 302
        assert Counter.objects.values("name", "description", "value").get() == {
            "name": "cups",
            "description": "of cups",
            "value": 5,
        }

    def test_tells_that_a_name_is_taken(self, admin: Browser, tally: UUID, ada: User) -> None:
        counter.open_counter(owner_id=ada.id, name="cups")

        response = self.change(admin, tally, name="cups", follow=True)

        assert "You already have a counter with that name." in response.text
        assert Counter.objects.get(id=tally).name == "tally"

    def test_deletes_one_with_its_ledger(self, admin: Browser, tally: UUID) -> None:
        asks = admin.get(f"{COUNTERS}{tally}/delete/")
        response = admin.post(f"{COUNTERS}{tally}/delete/", {"post": "yes"})

        assert "Are you sure" in asks.text
        assert response.status_code == 302
        assert not Counter.objects.exists()
        assert not Increment.objects.exists()

    def test_deletes_those_that_are_selected(self, admin: Browser, tally: UUID) -> None:
        chosen = {"action": "delete_selected", "_selected_action": str(tally)}

        assert "Are you sure" in admin.post(COUNTERS, chosen).text
        admin.post(COUNTERS, chosen | {"post": "yes"})

        assert not Counter.objects.exists()

    def test_are_not_added_by_hand(self, admin: Browser) -> None:
        assert admin.get(f"{COUNTERS}add/").status_code == 403

    def change(self, admin: Browser, counter_id: UUID, follow: bool = False, **fields: str) -> Any:
        unchanged = {"name": "tally", "description": "of cups", "visibility": "private"}
        address = f"{COUNTERS}{counter_id}/change/"
        return admin.post(address, unchanged | fields, follow=follow)


class TestLedger:
    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("", {"applied", "pending", "refused"}),
            ("state=pending", {"pending"}),
            ("state=applied", {"applied"}),
            ("state=refused", {"refused"}),
            ("state=nonsense", {"applied", "pending", "refused"}),
            ("q=applied", {"applied"}),
            ("q=appl", set()),
        ],
    )
    def test_finds_by_state_and_by_key(
        self, admin: Browser, tally: UUID, query: str, keys: set[str]
    ) -> None:
        Increment.objects.create(
            counter_id=tally, key="refused", amount=1, settled_at=timezone.now()
        )

        page = admin.get(f"{INCREMENTS}?{query}").text

        found = {key for key in ("applied", "pending", "refused") if f">{key}</a>" in page}
        assert found == keys

    def test_is_for_reading_only(self, admin: Browser, tally: UUID) -> None:
        increment = Increment.objects.get(key="applied")

        shown = admin.get(f"{INCREMENTS}{increment.id}/change/")
        statuses = [
            admin.post(f"{INCREMENTS}{path}", {"amount": "7", "post": "yes"}).status_code
            for path in ("add/", f"{increment.id}/change/", f"{increment.id}/delete/")
        ]

        assert shown.status_code == 200
        assert '<input type="text"' not in shown.text
        assert statuses == [403, 403, 403]
        assert "delete_selected" not in admin.get(INCREMENTS).text

    def test_is_counted_no_further_than_anybody_turns_pages(
        self, admin: Browser, tally: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FirstRows, "LIMIT", 1)

        assert "1 increment" in admin.get(INCREMENTS).text


class TestOwnersAndCursor:
    @pytest.mark.parametrize("model", ["owner", "feedcursor"])
    def test_are_for_reading_only(self, admin: Browser, tally: UUID, model: str) -> None:
        address = f"/admin/counter/{model}/"

        assert admin.get(address).status_code == 200
        assert admin.post(f"{address}add/").status_code == 403
        assert "delete_selected" not in admin.get(address).text

    def test_tell_of_a_tombstone(self, admin: Browser, tally: UUID) -> None:
        Owner.objects.update(tombstoned_at="2031-01-01T00:00Z", username="")

        assert '<td class="field-user_link">deleted</td>' in admin.get("/admin/counter/owner/").text
