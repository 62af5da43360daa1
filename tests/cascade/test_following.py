"""Following, for all apps at once."""

import pytest
from django.db import OperationalError

from apps.todos.owners import TODOS
from apps.users import public as users
from kit import holdings
from tasks import following
from tests.people import EVERYWHERE, settle

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
