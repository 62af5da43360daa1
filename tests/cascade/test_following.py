"""Following, for all apps at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from apps.todos.owners import TODOS
from apps.users import public as users
from apps.users.models import Deletion
from kit import holdings
from tasks import cascade, following
from tests.cascade.deleting import delete
from tests.people import EVERYWHERE, follow_feed, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


class TestFollowChanges:
    def test_brings_every_app_to_the_head(self) -> None:
        settle("someone")

        while following.follow_changes():
            pass

        assert {held.position() for held in holdings.registered()} == {users.feed_head()}

    def test_an_app_whose_database_is_down_holds_up_no_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settle("someone")

        def fail() -> bool:
            raise OperationalError("the server is gone")

        monkeypatch.setattr(TODOS, "follow", fail)
        while following.follow_changes():
            pass

        at = {held.app: held.position() for held in holdings.registered()}
        assert at == {"todos": 0, "counter": users.feed_head()}


class TestUsersThatWerePutBack:
    @pytest.mark.parametrize("look", [following.follow_changes, cascade.advance_deletions])
    def test_have_what_is_due_held_back_and_all_reconciled(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any, look: Callable[[], bool]
    ) -> None:
        """By whichever task comes first."""
        settings.DELETION_GRACE_SECONDS = 3_600
        hesitant, rung = settle("hesitant"), list[str]()
        delete(hesitant)
        Deletion.objects.update(starts_at=timezone.now())
        follow_feed()
        TODOS.cursors._default_manager.update(position=users.feed_head() + 1)
        monkeypatch.setattr(following, "ring", rung.append)

        look()

        assert rung == ["users.reconcile"]
        assert Deletion.objects.get(state="scheduled").starts_at > timezone.now()
