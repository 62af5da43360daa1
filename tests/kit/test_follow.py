"""Following the feed: names and the cursor move together, and each change takes effect once."""

from collections.abc import Collection
from uuid import UUID

import pytest

from apps.todos.models import Owner
from apps.todos.owners import TODOS as HOLDINGS
from apps.users import public as users
from apps.users.models import FeedHead, User, UserChange
from kit import holdings
from kit.directory import Person
from tests.factories import UserFactory
from tests.kit.killing import Killed, killed_after
from tests.racing import race

BOTH = ["default", "todos"]


def follow() -> None:
    while HOLDINGS.follow():
        pass


def rename(user: User, username: str) -> None:
    User.objects.filter(id=user.id).update(username=username)


def names() -> dict[UUID, str]:
    return dict(Owner.objects.values_list("id", "username"))


@pytest.mark.django_db(databases=BOTH)
class TestFollow:
    def test_brings_everyone_up_to_date(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(holdings, "FOLLOW_LIMIT", 3)
        people = UserFactory.create_batch(7)
        rename(people[0], "renamed")

        follow()

        assert names() == {user.id: user.username for user in User.objects.all()}
        assert HOLDINGS.position() == users.feed_head() == 8

    def test_says_whether_there_may_be_more(self) -> None:
        assert not HOLDINGS.follow()

        UserFactory.create()

        assert HOLDINGS.follow()
        assert not HOLDINGS.follow()

    def test_takes_the_name_as_it_is_now_however_old_the_change(self) -> None:
        user = UserFactory.create(username="first")
        rename(user, "second")
        rename(user, "third")

        HOLDINGS.follow()

        assert names() == {user.id: "third"}

    def test_leaves_a_tombstone_as_it_is(self) -> None:
        user = UserFactory.create()
        follow()
        HOLDINGS.entomb(user.id)
        rename(user, "risen")

        follow()

        assert names() == {user.id: ""}
        assert HOLDINGS.position() == users.feed_head()

    def test_passes_over_who_is_gone(self) -> None:
        UserFactory.create().delete()

        follow()

        assert names() == {}
        assert HOLDINGS.position() == users.feed_head() == 2

    def test_begins_anew_where_the_users_were_put_back(self) -> None:
        kept = UserFactory.create(username="kept")
        lost = UserFactory.create(username="lost")
        follow()
        put_back_to(0)
        rename(kept, "renamed since")

        follow()

        assert HOLDINGS.position() == users.feed_head() == 1
        assert names() == {kept.id: "renamed since", lost.id: "lost"}


def put_back_to(position: int) -> None:
    """Put the feed back to an older state, as with a backup of the users."""
    UserChange.objects.filter(position__gt=position).delete()
    FeedHead.objects.update(position=position)


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestExactlyOnce:
    @pytest.mark.parametrize("statement", ['INTO "todos_feedcursor', "UPDATE", "INTO todos_owner"])
    def test_killed_in_the_middle_it_did_nothing(self, statement: str) -> None:
        user = UserFactory.create(username="before")
        follow()
        rename(user, "after")
        newcomer = UserFactory.create(username="newcomer")
        before = HOLDINGS.position()

        with pytest.raises(Killed), killed_after("todos", statement):
            HOLDINGS.follow()
        was_left = (HOLDINGS.position(), names())
        follow()

        assert was_left == (before, {user.id: "before"})
        assert HOLDINGS.position() == before + 2
        assert names() == {user.id: "after", newcomer.id: "newcomer"}

    def test_one_who_was_slow_writes_no_old_name_over_a_newer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = UserFactory.create(username="old")

        class OvertakenDirectory:
            """While its answer is under way the name changes, and another follower is done."""

            changes_after = staticmethod(users.changes_after)
            feed_head = staticmethod(users.feed_head)

            def find_people(self, user_ids: Collection[UUID]) -> dict[UUID, Person]:
                people = users.find_people(user_ids)
                monkeypatch.undo()
                rename(user, "new")
                follow()
                return people

        monkeypatch.setattr(HOLDINGS, "directory", OvertakenDirectory())
        HOLDINGS.follow()

        assert names() == {user.id: "new"}
        assert HOLDINGS.position() == users.feed_head() == 2

    def test_many_at_once_do_what_one_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(holdings, "FOLLOW_LIMIT", 2)
        for user in UserFactory.create_batch(10):
            rename(user, f"{user.username} renamed")

        assert race(*[follow] * 4) == [None] * 4

        assert HOLDINGS.position() == users.feed_head() == 20
        assert set(names().values()) == {user.username for user in User.objects.all()}
