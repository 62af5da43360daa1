"""An account that comes back is never touched: not by a worker that had already chosen it, nor by
a chunk that was under way."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.utils import timezone

from apps.todos.models import Owner
from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.errors import WrongDeletionState
from apps.users.models import Deletion, User
from apps.users.operations.deletions import cancel_deletion
from kit import holdings
from kit.holdings import NotEntombed
from kit.transactions import durable
from tasks import cascade
from tests.cascade.deleting import COUNTED, GONE, counted, delete, state_of, work_until_done
from tests.clients import client_of
from tests.conftest import Start
from tests.people import EVERYWHERE, follow_feed, rows_left, settle
from tests.racing import race, wait_until_blocked

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


NOT_OF_THE_ACCOUNT = {
    *("Token", "Session", "Deletion", "DeletionStep", "UserChange", "FeedHead", "FeedCursor"),
}


def everything_of_the_account() -> dict[str, list[dict[str, Any]]]:
    """Every row of every database, but for sign-ins, and what tells of changes and deletions."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
        if model.__name__ not in NOT_OF_THE_ACCOUNT
    }


class TestCancelled:
    def test_finds_everything_as_it_was_but_tokens(self, settings: Any) -> None:
        settings.DELETION_GRACE_SECONDS = 3_600
        hesitant = settle("hesitant")
        user = User.objects.get(id=hesitant.id)
        User.objects.filter(id=user.id).update(email="hesitant@example.org", is_staff=True)
        user.groups.add(Group.objects.create(name="gardeners"))
        follow_feed()
        client, before = client_of(user), everything_of_the_account()

        deletion = delete(hesitant)
        follow_feed()
        work_until_done()
        cancel_deletion(deletion_id=deletion.id)
        follow_feed()
        work_until_done()

        assert everything_of_the_account() == before
        assert client.get("/api/users/me/").status_code == 401


class TestCancelAndStart:
    def test_have_one_winner_however_they_race(self) -> None:
        """Both for real: with the worker that deletes as soon as it has won."""
        for number in range(20):
            hesitant = settle(f"hesitant{number}", rows=2)
            deletion = delete(hesitant)

            cancelled, worked = race(
                lambda deletion=deletion: cancel_deletion(deletion_id=deletion.id),  # type: ignore[misc]
                work_until_done,
                errors_as_values=True,
            )
            work_until_done()

            assert worked is None  # nothing was raised
            state = state_of(deletion)
            assert isinstance(cancelled, WrongDeletionState) == (state == "done")
            if state == "cancelled":
                assert rows_left(hesitant.id) == {"todos": 2, "counter": 3, "users": 1}
                assert User.objects.get(id=hesitant.id).closed_at is None
                assert not any(held.entombed([hesitant.id]) for held in holdings.registered())
            else:
                assert rows_left(hesitant.id) == GONE

    def test_leaves_alone_what_was_cancelled_when_the_worker_had_chosen_it(
        self, start: Start
    ) -> None:
        """It waits for the row while it is being cancelled, and then sees that it was."""
        hesitant = settle("hesitant")
        deletion = delete(hesitant)

        with durable("default"):
            Deletion.objects.filter(id=deletion.id).update(state="cancelled")
            User.objects.filter(id=hesitant.id).update(closed_at=None)
            working = start(work_until_done)
            wait_until_blocked(1)
        working.result()

        assert rows_left(hesitant.id) == {**COUNTED, "users": 1}
        assert state_of(deletion) == "cancelled"

    def test_would_delete_it_without_the_comparison(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Chosen first, and then set to running whatever it has become."""
        hesitant = settle("hesitant")
        deletion = delete(hesitant)

        def begin_blindly(*, limit: int) -> int:
            due = Deletion.objects.filter(state="scheduled", starts_at__lte=timezone.now())
            ids = list(due.values_list("id", flat=True)[:limit])
            if ids:
                cancel_deletion(deletion_id=deletion.id)
            return Deletion.objects.filter(id__in=ids).update(state="running")

        monkeypatch.setattr(users, "begin_due_deletions", begin_blindly)
        work_until_done()

        assert rows_left(hesitant.id) == GONE


class TestChunkUnderWay:
    def test_touches_nobody_who_has_no_tombstone(self) -> None:
        """As if one had been chosen by mistake: its own database refuses."""
        citizen = settle("citizen")

        for held in holdings.registered():
            with pytest.raises(NotEntombed):
                held.purge_chunk(citizen.id)

        assert rows_left(citizen.id) == {**COUNTED, "users": 1}

    @pytest.mark.usefixtures("small_chunks")
    @pytest.mark.parametrize("goes_on", [True, False])
    def test_sets_a_lost_tombstone_anew_only_if_the_deletion_goes_on(self, goes_on: bool) -> None:
        """All databases were put back, the users to when it was cancelled, in the middle of it."""
        leaver = settle("leaver")
        deletion, look = delete(leaver), cascade.Look()
        for _ in range(4):
            look.work_a_round()
        left = rows_left(leaver.id)
        assert GONE != left != {**COUNTED, "users": 1}
        for held in holdings.registered():
            held.owners._default_manager.filter(id=leaver.id).update(tombstoned_at=None)
        due = users.list_due_steps(apps=["todos", "counter"], limit=9)
        if not goes_on:
            Deletion.objects.filter(id=deletion.id).update(state="cancelled")

        for step in due:
            held = next(held for held in holdings.registered() if held.app == step.app)
            look._take_turn(held, [step])
        assert rows_left(leaver.id) == left
        while look.work_a_round():
            pass

        assert rows_left(leaver.id) == (GONE if goes_on else left)

    @pytest.mark.usefixtures("small_chunks")
    @pytest.mark.parametrize("goes_on", [True, False])
    def test_sets_one_that_is_lost_within_a_round_anew_in_the_next(
        self, monkeypatch: pytest.MonkeyPatch, goes_on: bool
    ) -> None:
        """Which asks first whether the deletion goes on."""
        monkeypatch.setattr(cascade, "ROUND_SECONDS", 60)
        leaver, look, chunks = settle("leaver"), cascade.Look(), []
        deletion, purge_chunk = delete(leaver), TODOS.purge_chunk

        def put_back_and_purge(*owner_ids: Any, **how: Any) -> Any:
            chunks.append(owner_ids)
            if len(chunks) == 2:
                Owner.objects.filter(id=leaver.id).update(tombstoned_at=None, purged_rows=0)
                if not goes_on:
                    Deletion.objects.filter(id=deletion.id).update(state="cancelled")
            return purge_chunk(*owner_ids, **how)

        monkeypatch.setattr(TODOS, "purge_chunk", put_back_and_purge)
        look.work_a_round()
        assert (len(chunks), rows_left(leaver.id)["todos"]) == (2, 3)
        while look.work_a_round():
            pass

        assert rows_left(leaver.id)["todos"] == (0 if goes_on else 3)
        assert counted(deletion)["todos"] == (3 if goes_on else 2)

    @pytest.mark.usefixtures("small_chunks")
    def test_is_only_of_what_can_be_cancelled_no_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leaver, refused = settle("leaver"), []
        deletion = delete(leaver)
        record_steps = users.record_steps

        def try_to_cancel(**reports: Any) -> None:
            record_steps(**reports)
            with pytest.raises(WrongDeletionState):
                cancel_deletion(deletion_id=deletion.id)
            refused.append(1)

        monkeypatch.setattr(users, "record_steps", try_to_cancel)
        while cascade.advance_deletions():
            pass

        assert len(refused) > 5
        assert rows_left(leaver.id) == GONE
