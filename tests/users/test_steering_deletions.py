"""Deletions cancelled, paused and resumed, and who may do that when."""

import uuid
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from apps.users import public as users
from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion
from apps.users.operations.deletions import cancel_deletion
from kit.transactions import durable
from tests.clients import anonymous, client_of
from tests.factories import PASSWORD, UserFactory
from tests.racing import in_thread, race, wait_until_blocked
from tests.users.deleting import delete, sign_in, steer, watch

pytestmark = pytest.mark.django_db(databases=["default"])

APPS = ["todos", "counter"]


@pytest.fixture
def grace(settings: Any) -> None:
    settings.DELETION_GRACE_SECONDS = 3_600


def due_at(deletion: Any) -> set[datetime]:
    """When its steps are to be worked on, and itself is to begin."""
    row = Deletion.objects.get(id=deletion["id"])
    return {row.starts_at, *(step.next_at for step in row.steps.all())}


@pytest.mark.usefixtures("grace")
class TestGracePeriod:
    def test_keeps_the_steps_behind_those_that_are_due(self) -> None:
        deletion = delete(UserFactory.create()).json()

        (due,) = due_at(deletion)

        assert due > timezone.now()

    def test_that_begins_anew_keeps_them_there(self, settings: Any) -> None:
        deletion = delete(UserFactory.create()).json()
        settings.DELETION_GRACE_SECONDS = 7_200

        users.postpone_deletions()

        (due,) = due_at(deletion)
        assert due > timezone.now() + timedelta(seconds=3_600)

    def test_that_ends_early_has_them_done_at_once(self) -> None:
        ada = UserFactory.create()
        delete(ada)

        users.reopen_deletion(user_id=ada.id)

        assert len(users.list_due_steps(apps=APPS, limit=9)) == 2

    def test_that_was_shortened_by_hand_has_them_done_when_it_ends(self) -> None:
        delete(UserFactory.create())
        Deletion.objects.update(starts_at=timezone.now())

        users.begin_due_deletions(limit=1)

        assert len(users.list_due_steps(apps=APPS, limit=9)) == 2


@pytest.mark.usefixtures("grace")
class TestCancel:
    def test_brings_the_account_back(self) -> None:
        ada = UserFactory.create(username="ada", password=PASSWORD)
        deletion, before = delete(ada).json(), users.feed_head()

        response = steer(anonymous(), deletion, "cancel")

        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
        assert response.json()["certificate"] is None
        assert sign_in("ada", PASSWORD) == 201
        assert [change.user_id for change in users.changes_after(before, limit=9)] == [ada.id]

    def test_leaves_old_tokens_revoked(self) -> None:
        ada = UserFactory.create()
        old = client_of(ada)

        steer(old, delete(ada).json(), "cancel")

        assert old.get("/api/users/me/").status_code == 401

    def test_allows_another_deletion_later(self) -> None:
        ada = UserFactory.create()
        first = delete(ada).json()
        steer(anonymous(), first, "cancel")

        second = delete(ada).json()

        assert second["id"] != first["id"]
        assert watch(first)["state"] == "cancelled"

    def test_is_too_late_once_it_runs(self, settings: Any) -> None:
        settings.DELETION_GRACE_SECONDS = 0
        deletion = delete(UserFactory.create()).json()
        users.begin_due_deletions(limit=1)

        response = steer(anonymous(), deletion, "cancel")

        assert response.status_code == 409
        assert (response.json()["code"], response.json()["state"]) == ("conflict", "running")
        assert watch(deletion)["state"] == "running"

    def test_twice_is_a_conflict(self) -> None:
        deletion = delete(UserFactory.create()).json()
        steer(anonymous(), deletion, "cancel")

        assert steer(anonymous(), deletion, "cancel").status_code == 409


class TestPauseAndResume:
    def test_are_for_staff(self) -> None:
        staff = client_of(UserFactory.create(is_staff=True))
        deletion = delete(UserFactory.create()).json()
        users.begin_due_deletions(limit=1)

        paused = steer(staff, deletion, "pause")
        resumed = steer(staff, deletion, "resume")

        assert (paused.status_code, paused.json()["state"]) == (200, "paused")
        assert (resumed.status_code, resumed.json()["state"]) == (200, "running")

    @pytest.mark.parametrize("verb", ["pause", "resume"])
    def test_are_for_nobody_else(self, verb: str) -> None:
        deletion = delete(UserFactory.create()).json()

        assert steer(anonymous(), deletion, verb).status_code == 401
        assert steer(client_of(UserFactory.create()), deletion, verb).status_code == 403

    @pytest.mark.usefixtures("grace")
    @pytest.mark.parametrize("verb", ["pause", "resume"])
    def test_of_what_is_only_scheduled_are_conflicts(self, verb: str) -> None:
        staff = client_of(UserFactory.create(is_staff=True))
        deletion = delete(UserFactory.create()).json()

        assert steer(staff, deletion, verb).status_code == 409

    def test_hold_the_cascade(self) -> None:
        staff = client_of(UserFactory.create(is_staff=True))
        deletion = delete(UserFactory.create()).json()
        users.begin_due_deletions(limit=1)
        steer(staff, deletion, "pause")

        assert users.list_due_steps(apps=APPS, limit=9) == []

        steer(staff, deletion, "resume")
        due = users.list_due_steps(apps=APPS, limit=9)
        assert [str(step.deletion_id) for step in due] == [deletion["id"]] * 2


@pytest.mark.django_db(databases=["default"], transaction=True)
class TestCancelRacingWithTheStart:
    def test_has_one_winner(self) -> None:
        """Both have decided to act, and wait for the row, when it is let go."""
        for _ in range(5):
            ada = UserFactory.create()
            deletion_id = uuid.UUID(delete(ada).json()["id"])

            cancelled, begun = self.race_for(deletion_id)

            assert cancelled != begun
            state = Deletion.objects.get(id=deletion_id).state
            assert state == ("cancelled" if cancelled else "running")
            ada.refresh_from_db()
            assert (ada.closed_at is None) == cancelled

    def race_for(self, deletion_id: uuid.UUID) -> tuple[bool, bool]:
        """Whether it was cancelled, and whether it was begun."""
        with durable("default"):
            Deletion.objects.select_for_update().get(id=deletion_id)
            racing = in_thread(
                race,
                partial(cancel_deletion, deletion_id=deletion_id),
                partial(users.begin_due_deletions, limit=1),
                errors_as_values=True,
            )
            wait_until_blocked(2)
        cancelled, begun = racing.result(20)
        assert isinstance(cancelled, Deletion | WrongDeletionState)
        return isinstance(cancelled, Deletion), begun == 1
