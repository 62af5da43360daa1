"""Deletions cancelled, paused and resumed, and who may do that when."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from apps.users import public as users
from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion, DeletionStep, User
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    request_deletion,
    resume_deletion,
    retry_deletion,
)
from kit.transactions import durable
from tests.clients import anonymous, client_of
from tests.conftest import Start
from tests.factories import PASSWORD, UserFactory
from tests.racing import in_thread, join, race, wait_until_blocked
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


FOLLOW, ADVANCE = "users.follow_changes", "users.advance_deletions"


@pytest.mark.django_db(databases=["default"], transaction=True)
class TestDoorbells:
    @pytest.fixture
    def rung(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        rung: list[str] = []
        monkeypatch.setattr("tasks.wiring.ring", rung.append)
        return rung

    def test_ring_for_a_request_and_for_what_came_back(self, rung: list[str]) -> None:
        request_deletion(user_id=UserFactory.create().id)
        users.reopen_deletion(user_id=UserFactory.create().id)

        assert rung == [FOLLOW, ADVANCE] * 2

    @pytest.mark.parametrize(
        ("state", "move", "bell"),
        [
            ("scheduled", cancel_deletion, FOLLOW),
            ("paused", resume_deletion, ADVANCE),
            ("running", retry_deletion, ADVANCE),
        ],
    )
    def test_ring_when_it_is_steered(
        self, rung: list[str], state: str, move: Callable[..., Any], bell: str
    ) -> None:
        deletion = request_deletion(user_id=UserFactory.create().id)
        Deletion.objects.update(state=state)
        rung.clear()

        move(deletion_id=deletion.id)

        assert rung == [bell]

    def test_ring_when_the_account_is_gone(self, rung: list[str]) -> None:
        ada = UserFactory.create()
        deletion = request_deletion(user_id=ada.id)
        users.begin_due_deletions(limit=1)
        DeletionStep.objects.update(state="done")
        rung.clear()

        users.finish_deletions(subjects={deletion.id: ada.id})

        assert rung == [FOLLOW]


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


@pytest.mark.django_db(databases=["default"], transaction=True)
class TestPauseRacingWithTheEnd:
    @pytest.mark.parametrize("pause_is_first", [True, False])
    def test_has_one_winner(self, start: Start, pause_is_first: bool) -> None:
        """Both have decided to act, and get the row in the order in which they asked for it."""
        ada = UserFactory.create()
        deletion_id = uuid.UUID(delete(ada).json()["id"])
        users.begin_due_deletions(limit=1)
        DeletionStep.objects.update(state="done")
        pause = partial(pause_deletion, deletion_id=deletion_id)
        finish = partial(users.finish_deletions, subjects={deletion_id: ada.id})

        with durable("default"):
            Deletion.objects.select_for_update().get(id=deletion_id)
            racing = []
            for act in (pause, finish) if pause_is_first else (finish, pause):
                racing.append(start(act))
                wait_until_blocked(len(racing))
        pausing = racing[0 if pause_is_first else 1]

        assert isinstance(pausing.exception(20), WrongDeletionState) != pause_is_first
        join(racing)
        state = Deletion.objects.get(id=deletion_id).state
        assert state == ("paused" if pause_is_first else "done")
        assert User.objects.filter(id=ada.id).exists() == pause_is_first
