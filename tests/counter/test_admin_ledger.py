"""What the admin shows of increments: the ledger of a counter, and the inbox."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.counter import public as counter
from apps.counter.events import increments_accepted
from apps.counter.models import Counter, Entry, Increment, Pending
from apps.counter.operations import retry_set_aside
from apps.users.models import User
from kit.admin import FirstRows
from tests.counter.ledger import faults_of
from tests.counter.reading import fill_ledger, rows_read
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "counter"])

COUNTERS = "/admin/counter/counter/"
INCREMENTS = "/admin/counter/increment/"
PENDING = "/admin/counter/pending/"


@pytest.fixture
def tally(tally: UUID, ada: User) -> UUID:
    """Something of it is applied, and something pending."""
    counter.increment(counter_id=tally, owner_id=ada.id, amount=5, key="applied")
    counter.apply_pending_increments()
    counter.increment(counter_id=tally, owner_id=ada.id, amount=37, key="pending")
    return tally


class TestLedger:
    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("", {"applied", "pending", "refused"}),
            ("&state=pending", {"pending"}),
            ("&state=applied", {"applied"}),
            ("&state=refused", {"refused"}),
            ("&state=nonsense", {"applied", "pending", "refused"}),
            ("&q=applied", {"applied"}),
            ("&q=appl", set()),
        ],
    )
    def test_finds_by_state_and_by_key(
        self, admin: Browser, tally: UUID, ada: User, query: str, keys: set[str]
    ) -> None:
        Entry.objects.create(
            counter_id=tally, key="refused", amount=1, place=2, settled_at=timezone.now()
        )
        other = counter.open_counter(owner_id=ada.id, name="other")
        counter.increment(counter_id=other, owner_id=ada.id, key="elsewhere")

        assert self.keys(admin, f"?counter__id__exact={tally}{query}") == keys

    def test_finds_a_key_with_quotes(self, admin: Browser, tally: UUID, ada: User) -> None:
        counter.increment(counter_id=tally, owner_id=ada.id, key='"quoted"')

        page = admin.get(INCREMENTS, {"counter__id__exact": tally, "q": '"quoted"'})

        assert [increment.amount for increment in page.context["cl"].result_list] == [1]

    @pytest.mark.parametrize("query", ["", "?q=applied", "?state=applied"])
    def test_is_shown_for_one_counter_only(self, admin: Browser, tally: UUID, query: str) -> None:
        with CaptureQueriesContext(connections["counter"]) as captured:
            page = admin.get(f"{INCREMENTS}{query}").text

        assert "Increments are shown by counter" in page
        assert "0 increments" in page
        assert len(captured) == 0

    def test_of_a_counter_shows_no_such_message(self, admin: Browser, tally: UUID) -> None:
        page = admin.get(f"{INCREMENTS}?counter__id__exact={tally}").text

        assert "Increments are shown by counter" not in page

    def test_of_no_counter_is_no_error(self, admin: Browser, tally: UUID) -> None:
        for counter_id in ("", "nonsense", "01980000-0000-7000-8000-000000000000"):
            page = admin.get(f"{INCREMENTS}?counter__id__exact={counter_id}", follow=True)

            assert page.status_code == 200
            assert "0 increments" in page.text

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "&p=2",
            "&q=key-17",
            "&state=applied",
            "&state=refused",
            "&state=pending",
            "&_facets=1",
        ],
    )
    def test_reads_no_more_than_it_shows(
        self, admin: Browser, ada: User, query: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        long = counter.open_counter(owner_id=ada.id, name="long")
        fill_ledger(long, timezone.now(), {timedelta(0): 20_000})
        monkeypatch.setattr(FirstRows, "LIMIT", 300)

        with CaptureQueriesContext(connections["counter"]) as captured:
            admin.get(f"{INCREMENTS}?counter__id__exact={long}{query}")

        ledger = [each for each in captured.captured_queries if "counter_increment" in each["sql"]]
        assert len(ledger) == 2  # counting no further than anybody turns pages, and a page
        assert rows_read(ledger) <= 500

    def test_has_no_pages_but_the_list(self, admin: Browser, tally: UUID) -> None:
        increment = Increment.objects.get(key="applied")

        with CaptureQueriesContext(connections["counter"]) as captured:
            statuses = [
                admin.get(f"{INCREMENTS}{path}").status_code
                for path in ("add/", f"{increment.id}/change/", f"{increment.id}/delete/")
            ]

        assert statuses == [404, 404, 404]
        assert len(captured) == 0
        assert "delete_selected" not in admin.get(f"{INCREMENTS}?counter__id__exact={tally}").text

    def test_is_counted_no_further_than_anybody_turns_pages(
        self, admin: Browser, tally: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FirstRows, "LIMIT", 1)

        assert "1 increment" in admin.get(f"{INCREMENTS}?counter__id__exact={tally}").text

    def keys(self, admin: Browser, query: str) -> set[str]:
        return set(re.findall(r'class="field-key">([^<]+)', admin.get(INCREMENTS + query).text))


class TestPending:
    @pytest.fixture
    def poisoned(self, tally: UUID, ada: User) -> Pending:
        """Set aside, while another of the same counter waits its turn."""
        counter.increment(counter_id=tally, owner_id=ada.id, amount=1000, key="poisoned")
        itself = Pending.objects.filter(key="poisoned")
        itself.update(set_aside_at=timezone.now(), reason="a trigger says <no>")
        return itself.get()

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("", {"pending", "poisoned"}),
            ("?set_aside=yes", {"poisoned"}),
            ("?set_aside=no", {"pending"}),
            ("?set_aside=nonsense", {"pending", "poisoned"}),
            ("?q=poisoned", {"poisoned"}),
            ("?q=poison", set()),
        ],
    )
    def test_finds_what_is_set_aside(
        self, admin: Browser, poisoned: Pending, query: str, keys: set[str]
    ) -> None:
        page = admin.get(f"{PENDING}{query}").text

        assert {key for key in ("pending", "poisoned") if f">{key}</a>" in page} == keys

    def test_says_what_is_wrong(self, admin: Browser, tally: UUID, poisoned: Pending) -> None:
        for address in (PENDING, f"{PENDING}{poisoned.position}/change/"):
            page = admin.get(address).text

            assert "a trigger says &lt;no&gt;" in page
            assert "+1,000" in page
            assert f"{COUNTERS}{tally}/change/" in page

    def test_is_for_reading_only(self, admin: Browser, poisoned: Pending) -> None:
        statuses = [
            admin.post(f"{PENDING}{path}", {"amount": "7", "post": "yes"}).status_code
            for path in (
                "add/",
                f"{poisoned.position}/change/",
                f"{poisoned.position}/delete/",
            )
        ]

        assert statuses == [403, 403, 403]
        assert "delete_selected" not in admin.get(PENDING).text

    def test_is_tried_again(
        self,
        admin: Browser,
        tally: UUID,
        poisoned: Pending,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        heard: list[Any] = []

        def hear(counter_ids: set[UUID], **_: Any) -> None:
            heard.append(counter_ids)

        increments_accepted.connect(hear)
        try:
            with django_capture_on_commit_callbacks(using="counter", execute=True):
                page = self.try_again(admin, *Pending.objects.all())
        finally:
            increments_accepted.disconnect(hear)

        assert "Put back into the queue, of those that were set aside: 1." in page
        assert heard == [{tally}]
        assert not Pending.objects.exclude(set_aside_at=None, reason="").exists()
        counter.apply_pending_increments()
        assert Counter.objects.get(id=tally).value == 5 + 37 + 1000
        assert faults_of(tally) == []

    def test_tells_when_there_is_nothing_to_try_again(
        self, admin: Browser, tally: UUID, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(using="counter") as callbacks:
            page = self.try_again(admin, *Pending.objects.all())

        assert "Put back into the queue, of those that were set aside: 0." in page
        assert callbacks == []

    def test_is_left_alone_where_somebody_was_quicker(
        self, poisoned: Pending, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(using="counter") as callbacks:
            first = retry_set_aside(positions=[poisoned.position])
            second = retry_set_aside(positions=[poisoned.position])

        assert (first, second) == (1, 0)
        assert len(callbacks) == 1

    @pytest.mark.parametrize(("permission", "allowed"), [("view", False), ("change", True)])
    def test_is_tried_again_by_who_may_change_it(
        self, poisoned: Pending, permission: str, allowed: bool
    ) -> None:
        clerk = UserFactory.create(is_staff=True)
        clerk.user_permissions.add(Permission.objects.get(codename=f"{permission}_pending"))
        browser = Browser()
        browser.force_login(clerk)

        offered = browser.get(PENDING).text
        self.try_again(browser, poisoned)

        poisoned.refresh_from_db()
        assert ("try_again" in offered) is allowed
        assert (poisoned.set_aside_at is None) is allowed

    def try_again(self, browser: Browser, *chosen: Pending) -> str:
        form = {"action": "try_again", "_selected_action": [each.position for each in chosen]}
        return browser.post(PENDING, form, follow=True).text
