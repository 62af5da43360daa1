"""The feed: every change of an account has a position, in order of commit, without gaps."""

from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.users import public as users
from apps.users.models import User
from kit.ids import new_id
from tests.conftest import Start
from tests.factories import UserFactory
from tests.people import feed_asleep
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default"])


def new_changes(change: Callable[[], Any]) -> list[UUID]:
    """Whose changes the feed has more after `change`, at positions that follow on."""
    before = users.feed_head()
    change()
    changes = users.changes_after(before, limit=1_000)
    positions = [change.position for change in changes]
    assert positions == list(range(before + 1, users.feed_head() + 1))
    return [change.user_id for change in changes]


def execute(statement: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


class TestFeed:
    @pytest.mark.parametrize(
        "change",
        [
            {"username": "renamed"},
            {"is_active": False},
            {"closed_at": timezone.now()},
        ],
        ids=["rename", "deactivate", "close"],
    )
    def test_has_every_change_of_an_account(self, change: dict[str, Any]) -> None:
        ada = UserFactory.create()

        assert new_changes(lambda: User.objects.filter(id=ada.id).update(**change)) == [ada.id]

    def test_has_comings_and_goings(self) -> None:
        ada = User(username="ada")

        assert new_changes(ada.save) == [ada.id]
        assert new_changes(User.objects.all().delete) == [ada.id]

    def test_has_one_position_for_each_of_many(self) -> None:
        people = UserFactory.create_batch(3)

        changed = new_changes(lambda: User.objects.update(is_active=False))

        assert sorted(changed) == sorted(user.id for user in people)

    def test_has_what_is_changed_by_sql(self) -> None:
        ada = UserFactory.create()

        assert new_changes(lambda: execute("UPDATE users_user SET username = 'x'")) == [ada.id]
        assert new_changes(lambda: execute("DELETE FROM users_user")) == [ada.id]

    def test_has_nothing_that_concerns_nobody_else(self) -> None:
        ada = UserFactory.create()
        same = {"username": ada.username, "email": "new@example.com", "last_login": timezone.now()}

        assert new_changes(lambda: User.objects.update(**same)) == []

    def test_has_no_gap_where_a_change_was_undone(self) -> None:
        def undone() -> None:
            try:
                with transaction.atomic(using="default"):  # noqa: TID251  (to be undone)
                    UserFactory.create()
                    raise InterruptedError
            except InterruptedError:
                pass

        assert new_changes(undone) == []

    def test_misses_a_change_without_its_trigger(self) -> None:
        """Broken on purpose: nothing else writes the feed."""
        ada = UserFactory.create()

        with feed_asleep():
            missed = new_changes(lambda: User.objects.filter(id=ada.id).update(username="x"))

        assert missed == []

    def test_is_read_a_page_at_a_time(self) -> None:
        before = users.feed_head()
        people = UserFactory.create_batch(3)

        first = users.changes_after(before, limit=2)
        rest = users.changes_after(first[-1].position, limit=2)

        assert [change.user_id for change in [*first, *rest]] == [user.id for user in people]


class OpenTransaction:
    """A transaction of another session that has created a user and waits to commit."""

    def __init__(self, start: Start, username: str) -> None:
        self.user_id = new_id()
        self.created, self.may_commit = Event(), Event()
        self.done = start(self._run, username)

    def _run(self, username: str) -> None:
        with transaction.atomic(using="default"):  # noqa: TID251  (held open)
            User.objects.create(id=self.user_id, username=username)
            self.created.set()
            assert self.may_commit.wait(20)

    def commit(self) -> None:
        self.may_commit.set()
        self.done.result(20)


@pytest.mark.django_db(databases=["default"], transaction=True)
class TestOrderOfCommit:
    def test_is_the_order_of_positions(self, start: Start) -> None:
        first = OpenTransaction(start, "first")
        assert first.created.wait(20)
        second = OpenTransaction(start, "second")
        wait_until_blocked(1)
        second.may_commit.set()
        seen_before = users.changes_after(0, limit=9)
        first.commit()
        second.commit()

        assert seen_before == []
        seen = [change.user_id for change in users.changes_after(0, limit=9)]
        assert seen == [first.user_id, second.user_id]

    @pytest.mark.usefixtures("positions_by_a_sequence")
    def test_is_lost_with_a_sequence(self, start: Start) -> None:
        """Broken on purpose: whoever reads between the two commits never sees the first."""
        first = OpenTransaction(start, "first")
        assert first.created.wait(20)
        second = OpenTransaction(start, "second")
        second.commit()
        (seen_before,) = users.changes_after(0, limit=9)
        first.commit()

        assert seen_before.user_id == second.user_id
        assert users.changes_after(seen_before.position, limit=9) == []

    @pytest.fixture
    def positions_by_a_sequence(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_functiondef('users_append_to_feed'::regproc)")
            (definition,) = cursor.fetchone()
            cursor.execute("CREATE SEQUENCE positions")
        begin, end = definition.index("INSERT INTO users_feedhead"), definition.index("RETURNING")
        after = definition.index(";", end)
        execute(
            definition[:begin] + "SELECT nextval('positions') INTO allotted" + definition[after:]
        )
        yield
        execute(definition)
        execute("DROP SEQUENCE positions")
