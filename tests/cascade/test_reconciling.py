"""What reconciling finds when one database was put back to an older state."""

from typing import Any
from uuid import UUID

import pytest

from apps.todos.models import Owner as TodoOwner
from apps.todos.models import Todo
from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion, User
from apps.users.operations import deletions
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    request_deletion,
    resume_deletion,
)
from kit import holdings
from tasks import cascade, reconciling
from tasks.reconciling import LOST, REMAINS, RENAMED, RETURNED, UNKNOWN, Finding
from tests.people import EVERYWHERE, Citizen, feed_asleep, follow_feed, rows_left, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


def delete(citizen: Citizen) -> None:
    request_deletion(user_id=citizen.id)
    while cascade.advance_deletions():
        pass


def found(findings: list[Finding]) -> set[tuple[str, str, UUID]]:
    return {(finding.what, finding.app, finding.user_id) for finding in findings}


def restore_user(user_id: UUID) -> None:
    """The users' database as it was before the deletion."""
    with feed_asleep():
        Deletion.objects.filter(user_id=user_id).delete()
        User.objects.create(id=user_id, username="revenant")


def restore_todos(user_id: UUID) -> None:
    """The todos' database as it was before the deletion."""
    TodoOwner.objects.filter(id=user_id).delete()
    TodoOwner.objects.create(id=user_id, username="revenant")
    Todo.objects.create(owner_id=user_id, title="from the backup")


class TestReconcile:
    def test_finds_nothing_where_all_agree(self) -> None:
        delete(settle("leaver"))
        settle("stayer")

        assert reconciling.reconcile() == []

    def test_deletes_a_user_again_who_came_back_with_a_backup(self) -> None:
        leaver, stayer = settle("leaver"), settle("stayer")
        delete(leaver)
        restore_user(leaver.id)

        findings = reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert found(findings) == {(RETURNED, "todos", leaver.id)}
        assert rows_left(leaver.id) == {"todos": 0, "counter": 0, "users": 0}
        assert rows_left(stayer.id)["users"] == 1
        assert reconciling.reconcile() == []

    def test_deletes_rows_again_that_came_back_with_a_backup(self) -> None:
        leaver = settle("leaver")
        delete(leaver)
        restore_todos(leaver.id)

        findings = reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert found(findings) == {(REMAINS, "todos", leaver.id)}
        assert rows_left(leaver.id) == {"todos": 0, "counter": 0, "users": 0}
        assert Deletion.objects.filter(user_id=leaver.id, state="done").count() == 2
        assert reconciling.reconcile() == []

    def test_deletes_both_again_where_only_a_third_database_remembers(self) -> None:
        leaver = settle("leaver")
        delete(leaver)
        restore_user(leaver.id)
        restore_todos(leaver.id)

        reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert rows_left(leaver.id) == {"todos": 0, "counter": 0, "users": 0}
        assert reconciling.reconcile() == []

    def test_sets_a_tombstone_anew_of_one_who_came_and_went_after_the_backup(self) -> None:
        leaver = settle("leaver")
        delete(leaver)
        TodoOwner.objects.filter(id=leaver.id).delete()

        findings = reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert found(findings) == {(LOST, "todos", leaver.id)}
        assert TODOS.entombed([leaver.id]) == {leaver.id: 0}
        assert reconciling.reconcile() == []

    def test_only_reports_rows_of_a_user_whom_nobody_knows(self) -> None:
        stray = settle("stray")
        with feed_asleep():
            User.objects.filter(id=stray.id).delete()

        findings = reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert found(findings) == {(UNKNOWN, "todos", stray.id), (UNKNOWN, "counter", stray.id)}
        assert rows_left(stray.id) == {"todos": 5, "counter": 6, "users": 0}

    def test_deletes_rows_of_one_whom_only_another_app_knows_to_be_deleted(self) -> None:
        """Created and being deleted when the users were put back, who know nothing of it."""
        stray = settle("stray")
        TODOS.entomb(stray.id)
        while not TODOS.purge_chunk(stray.id).finished:
            pass
        with feed_asleep():
            User.objects.filter(id=stray.id).delete()

        findings = reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert found(findings) == {(REMAINS, "counter", stray.id)}
        assert rows_left(stray.id) == {"todos": 0, "counter": 0, "users": 0}

    def test_begins_at_once_what_was_put_back_to_its_grace_period(self, settings: Any) -> None:
        settings.DELETION_GRACE_SECONDS = 3_600
        leaver = settle("leaver")
        deletion = request_deletion(user_id=leaver.id)
        TODOS.entomb(leaver.id)

        reconciling.reconcile()

        assert Deletion.objects.get(id=deletion.id).state == "running"
        with pytest.raises(WrongDeletionState):
            cancel_deletion(deletion_id=deletion.id)

    def test_writes_a_name_again_that_the_feed_did_not_bring(self) -> None:
        citizen = settle("before")
        follow_feed()
        with feed_asleep():
            User.objects.filter(id=citizen.id).update(username="after")

        findings = reconciling.reconcile()

        assert found(findings) == {
            (RENAMED, "todos", citizen.id),
            (RENAMED, "counter", citizen.id),
        }
        assert TodoOwner.objects.get(id=citizen.id).username == "after"

    def test_leaves_a_deletion_paused_that_has_not_gone_on_since(self) -> None:
        """Its todos had been deleted before, and were to be looked at once more."""
        leaver = settle("leaver")
        deletion = request_deletion(user_id=leaver.id)
        users.begin_due_deletions(limit=1)
        TODOS.entomb(leaver.id)
        while not TODOS.purge_chunk(leaver.id).finished:
            pass
        users.record_steps(reports=[users.StepReport(deletion.id, "todos", 5, 5, done=True)])
        users.reopen_steps(deletion_ids=[deletion.id], app="todos")
        pause_deletion(deletion_id=deletion.id)

        assert reconciling.reconcile() == []

        assert Deletion.objects.get(id=deletion.id).state == "paused"

    def test_does_not_mind_that_somebody_was_quicker_to_resume_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deletion = request_deletion(user_id=settle("leaver").id)
        users.begin_due_deletions(limit=1)
        pause_deletion(deletion_id=deletion.id)

        def resume_after_another(*, deletion_id: UUID) -> None:
            resume_deletion(deletion_id=deletion_id)
            resume_deletion(deletion_id=deletion_id)

        monkeypatch.setattr(deletions, "resume_deletion", resume_after_another)
        users.resume_deletion_of(user_id=deletion.user_id)

        assert Deletion.objects.get(id=deletion.id).state == "running"

    def test_leaves_a_deletion_under_way_alone(self) -> None:
        leaver = settle("leaver")
        deletion = request_deletion(user_id=leaver.id)
        Deletion.objects.filter(id=deletion.id).update(state="running")
        for held in holdings.registered():
            held.entomb(leaver.id)

        assert reconciling.reconcile() == []

    def test_mends_nothing_in_a_dry_run(self) -> None:
        leaver = settle("leaver")
        delete(leaver)
        restore_user(leaver.id)

        findings = reconciling.reconcile(dry_run=True)

        assert len(findings) == 2
        assert not Deletion.objects.filter(user_id=leaver.id).exists()

    def test_pages_through_all_owners(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reconciling, "PAGE_ROWS", 2)
        leavers = [settle(f"leaver{number}", rows=1) for number in range(5)]
        for leaver in leavers:
            delete(leaver)
        restore_user(leavers[-1].id)

        findings = reconciling.reconcile()

        assert {finding.user_id for finding in findings} == {leavers[-1].id}

    def test_finds_a_row_behind_a_tombstone(self) -> None:
        leaver = settle("leaver")
        delete(leaver)
        Todo.objects.create(owner_id=leaver.id, title="an orphan, against the fence")

        findings = reconciling.reconcile()
        while cascade.advance_deletions():
            pass

        assert found(findings) == {(REMAINS, "todos", leaver.id)}
        assert rows_left(leaver.id)["todos"] == 0
