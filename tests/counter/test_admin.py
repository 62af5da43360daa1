"""The admin's pages of the counter app, for the people who run the service."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.counter import public as counter
from apps.counter.models import Counter, Increment, Owner, Pending
from apps.users.models import User
from tests.counter.reading import fill_ledger, rows_read

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

COUNTERS = "/admin/counter/counter/"
INCREMENTS = "/admin/counter/increment/"
PENDING = "/admin/counter/pending/"


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
        assert '<td class="field-tally">5</td>' in page
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


class TestCounter:
    """The page of one counter."""

    def test_shows_how_it_stands(self, admin: Browser, tally: UUID) -> None:
        Counter.objects.update(value=-(2**63))

        page = admin.get(f"{COUNTERS}{tally}/change/").text

        assert "-9,223,372,036,854,775,808" in page
        assert "+37 in 1" in page
        assert "0.02 a second in the last minute, 1 in the last hour, 1 in the last day" in page

    def test_draws_the_last_day_week_and_month(self, admin: Browser, tally: UUID) -> None:
        page = admin.get(f"{COUNTERS}{tally}/change/").text

        spans = re.findall(r'<svg role="img" aria-label="([^:]+): the value went', page)
        assert spans == ["Last 24 hours", "Last 7 days", "Last 30 days"]

    def test_leads_to_what_is_set_aside(self, admin: Browser, tally: UUID) -> None:
        address = f"{COUNTERS}{tally}/change/"
        before = admin.get(address).text
        Pending.objects.update(set_aside_at=timezone.now(), reason="a trigger says no")
        which = f"{PENDING}?counter__id__exact={tally}&amp;set_aside=yes"

        assert which not in before
        assert f'<a href="{which}">1 that could not be settled</a>' in admin.get(address).text

    def test_reads_no_more_however_long_the_ledger(self, admin: Browser, ada: User) -> None:
        now = timezone.now()
        old = counter.open_counter(owner_id=ada.id, name="old")
        new = counter.open_counter(owner_id=ada.id, name="new")
        fill_ledger(old, now, {timedelta(days=n): 500 for n in range(40)})

        queries = {}
        for counter_id in (old, new):
            with CaptureQueriesContext(connections["counter"]) as captured:
                assert admin.get(f"{COUNTERS}{counter_id}/change/").status_code == 200
            queries[counter_id] = captured.captured_queries

        assert len(queries[old]) == len(queries[new])
        assert rows_read(queries[old]) < 200


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
