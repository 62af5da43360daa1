"""One database, or two, put back to a backup: whatever was deleted is deleted again, and nobody
else is. Real copies of real databases, in every combination."""

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.todos.models import Owner as TodoOwner
from apps.users import public as users
from apps.users.models import Deletion, User
from apps.users.operations.certificates import verify_deletions
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    request_deletion,
    resume_deletion,
)
from kit import holdings
from kit.holdings import Holdings
from tasks import cascade, following, reconciling
from tasks.cascade import Look
from tasks.reconciling import UNCERTAIN, UNKNOWN
from tests.cascade.backups import Backups, backups
from tests.cascade.deleting import COUNTED, GONE, work_until_done
from tests.people import EVERYWHERE, follow_feed, rows_left, settle

__all__ = ["backups"]

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

COMBINATIONS = [some for number in (1, 2) for some in combinations(EVERYWHERE, number)]
APP_OF = {"default": "users", "todos": "todos", "counter": "counter"}


@dataclass
class Story:
    """What happened to whom. Each is named for what became of them, and when."""

    ids: dict[str, UUID] = field(default_factory=dict)

    def settle(self, *names: str) -> None:
        for name in names:
            self.ids[name] = settle(name).id

    def request(self, name: str) -> UUID:
        return request_deletion(user_id=self.ids[name]).id

    def request_without_grace(self, name: str) -> UUID:
        deletion_id = self.request(name)
        Deletion.objects.filter(id=deletion_id).update(starts_at=timezone.now())
        return deletion_id

    def before_the_backup(self) -> None:
        self.settle("stayer", "renamed later", "deleted before", "deleted later")
        self.settle("half deleted", "paused and resumed later", "begun later", "cancelled later")
        self.request_without_grace("deleted before")
        work_until_done()
        self.request_without_grace("half deleted")
        self.paused = self.request_without_grace("paused and resumed later")
        look = Look()
        for _ in range(3):
            look.work_a_round()
        pause_deletion(deletion_id=self.paused)
        self.waiting = self.request("begun later")
        self.cancelled = self.request("cancelled later")
        follow_feed()

    def after_the_backup(self) -> None:
        resume_deletion(deletion_id=self.paused)
        cancel_deletion(deletion_id=self.cancelled)
        Deletion.objects.filter(id=self.waiting).update(starts_at=timezone.now())
        User.objects.filter(username="renamed later").update(username="renamed")
        self.settle("came later", "came and went later")
        for name in ("deleted later", "came and went later"):
            self.request_without_grace(name)
        work_until_done()
        assert Deletion.objects.filter(state="done").count() == len(self.deleted)
        follow_feed()

    @property
    def deleted(self) -> set[str]:
        return {
            *("deleted before", "deleted later", "half deleted", "paused and resumed later"),
            *("begun later", "came and went later"),
        }


@pytest.fixture(autouse=True)
def grace(settings: Any) -> None:
    settings.DELETION_GRACE_SECONDS = 3_600


@pytest.fixture
def story(backups: Backups, monkeypatch: pytest.MonkeyPatch, small_chunks: None) -> Story:
    """All of it, with a backup of all databases taken in the middle."""
    monkeypatch.setattr("tasks.following.ring", lambda *_: None)
    story = Story()
    story.before_the_backup()
    backups.take()
    story.after_the_backup()
    return story


def sweep() -> None:
    """What the schedule does by itself, a few times over."""
    for _ in range(3):
        while following.follow_changes():
            pass
        cascade.advance_deletions()
        reconciling.reconcile()
        work_until_done()


def check(story: Story, put_back: tuple[str, ...]) -> None:
    """Nobody deleted is alive, no row is without its user, and nobody else was touched."""
    users_are_old = "default" in put_back
    for name in story.deleted:
        assert rows_left(story.ids[name]) == GONE, name
    for name in ("stayer", "renamed later", "cancelled later"):
        assert rows_left(story.ids[name]) == {**COUNTED, "users": 1}, name
    newcomer = rows_left(story.ids["came later"])
    kept = {app: rows for app, rows in COUNTED.items() if app not in put_back}
    assert {app: newcomer[app] for app in kept} == kept
    assert newcomer["users"] == (0 if users_are_old else 1)
    open_ones = Deletion.objects.filter(state__in=Deletion.OPEN).values_list("user_id", "state")
    cancelled = {(story.ids["cancelled later"], "scheduled")} if users_are_old else set()
    assert set(open_ones) == cancelled
    name = User.objects.get(id=story.ids["renamed later"]).username
    assert TodoOwner.objects.get(id=story.ids["renamed later"]).username == name
    unknown = {(UNKNOWN, app, story.ids["came later"]) for app in kept if users_are_old}
    found = {(each.what, each.app, each.user_id) for each in reconciling.reconcile()}
    assert found == unknown
    done = Deletion.objects.filter(state="done").values_list("id", flat=True)
    assert not any(verify_deletions(deletion_ids=done).values())


class TestPutBack:
    @pytest.mark.parametrize("put_back", COMBINATIONS, ids="+".join)
    def test_ends_with_nobody_deleted_alive_and_nobody_else_deleted(
        self, story: Story, backups: Backups, put_back: tuple[str, ...]
    ) -> None:
        backups.put_back(*put_back)

        sweep()

        check(story, put_back)

    @pytest.mark.parametrize("put_back", COMBINATIONS, ids="+".join)
    def test_is_mended_by_reconcile_alone(
        self, story: Story, backups: Backups, put_back: tuple[str, ...]
    ) -> None:
        backups.put_back(*put_back)

        reconciling.reconcile()
        work_until_done()

        check(story, put_back)

    @pytest.mark.parametrize("put_back", [each for each in COMBINATIONS if "default" in each])
    def test_of_the_users_is_mended_also_where_their_feed_has_outgrown_the_cursors(
        self, story: Story, backups: Backups, put_back: tuple[str, ...]
    ) -> None:
        """All workers were down while the web server went on."""
        furthest = max(held.position() for held in holdings.registered())
        backups.put_back(*put_back)
        Deletion.objects.filter(id=story.cancelled).update(state="cancelled")
        User.objects.filter(id=story.ids["cancelled later"]).update(closed_at=None)
        while users.feed_head() <= furthest:
            User.objects.create(username=f"number {users.feed_head()}")
        User.objects.filter(username="renamed later").update(username="renamed after")

        sweep()

        for name in story.deleted:
            assert rows_left(story.ids[name]) == GONE, name
        for name in ("stayer", "renamed later", "cancelled later"):
            assert rows_left(story.ids[name]) == {**COUNTED, "users": 1}, name
        assert TodoOwner.objects.get(id=story.ids["renamed later"]).username == "renamed after"

    def test_changes_nothing_in_a_dry_run(self, story: Story, backups: Backups) -> None:
        backups.put_back("default")
        before = list(Deletion.objects.order_by("id").values())

        found = reconciling.reconcile(dry_run=True)

        assert list(Deletion.objects.order_by("id").values()) == before
        assert {each.user_id for each in found} >= {
            story.ids[name] for name in ("deleted later", "begun later", "cancelled later")
        }
        assert {each.what for each in found} >= {UNCERTAIN, UNKNOWN}
        assert reconciling.reconcile(dry_run=True) == found
        assert not Deletion.objects.filter(state="running").exclude(
            user_id=story.ids["half deleted"]
        )

    def test_leaves_a_deletion_that_was_cancelled_since_its_grace_period(
        self, story: Story, backups: Backups
    ) -> None:
        """It is due by now, and the users do not know any more that it was cancelled."""
        backups.put_back("default")
        Deletion.objects.filter(id=story.cancelled).update(starts_at=timezone.now())

        sweep()

        assert rows_left(story.ids["cancelled later"]) == {**COUNTED, "users": 1}
        cancel_deletion(deletion_id=story.cancelled)

    def test_has_every_grace_period_begin_anew_in_one_go(
        self, story: Story, backups: Backups, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backups.put_back("default")
        for number in range(3):
            story.settle(f"hesitant {number}")
            story.request(f"hesitant {number}")
        postpone, postponed = users.postpone_deletions, []
        monkeypatch.setattr(users, "postpone_deletions", lambda: postponed.append(postpone()))

        found = reconciling.reconcile()

        assert postponed == [[each.what for each in found].count(UNCERTAIN)]
        assert postponed[0] > 3

    def test_would_delete_who_had_cancelled_without_that(
        self, story: Story, backups: Backups, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(following, "users_were_put_back", lambda: False)
        backups.put_back("default")
        Deletion.objects.filter(id=story.cancelled).update(starts_at=timezone.now())

        sweep()

        assert rows_left(story.ids["cancelled later"]) == GONE

    def test_would_leave_deleted_users_alive_without_tombstones(
        self, story: Story, backups: Backups, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backups.put_back("default")
        monkeypatch.setattr(Holdings, "entombed", lambda *_: {})

        sweep()

        assert rows_left(story.ids["deleted later"])["users"] == 1
        with pytest.raises(AssertionError, match=r"deleted later|begun later|paused"):
            check(story, ("default",))

    def test_would_delete_who_was_not_deleted_if_the_unknown_were_taken_for_that(
        self, story: Story, backups: Backups, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backups.put_back("default")
        monkeypatch.setattr(users, "list_deleted", lambda ids: set(ids))

        sweep()

        assert rows_left(story.ids["came later"]) == GONE
