"""Following: who goes on from each answer's cursor never misses a change."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.todos.models import Owner, Todo
from apps.todos.operations import writing
from apps.todos.operations.trash import sweep_trash
from apps.todos.owners import TAKE_POSITIONS
from apps.users.models import User
from tests.factories import UserFactory
from tests.polling import wait_for
from tests.racing import are_blocked, race, wait_until_blocked
from tests.todos.conftest import TODOS, Client, address_of, refused_fields, signed_in
from tests.todos.holding import HELD, creations_held

BOTH = ["default", "todos"]
CHANGES = f"{TODOS}changes/"
SECONDS = 20


class Follower:
    """A client's copy of its todos: by id the version, none for what is deleted."""

    def __init__(self, client: Client, page_size: int = 200) -> None:
        self.client = client
        self.page_size = page_size
        self.cursor = ""
        self.copy: dict[str, int] = {}
        self.seen = 0

    def follow(self) -> "Follower":
        while True:
            asked = {"since": self.cursor, "page_size": self.page_size}
            response = self.client.get(CHANGES, asked)
            assert response.status_code == 200, response.text
            answer = response.json()
            for each in answer["results"]:
                self.seen += 1
                if each["deleted"]:
                    self.copy.pop(each["id"], None)
                else:
                    self.copy[each["id"]] = each["version"]
            self.cursor = answer["cursor"]
            if answer["next"] is None:
                return self


def versions_of(user: User) -> dict[str, int]:
    todos = Todo.objects.filter(owner=user.id, deleted_at=None)
    return {str(todo_id): version for todo_id, version in todos.values_list("id", "version")}


@pytest.mark.django_db(databases=BOTH)
class TestChanges:
    def test_are_ids_and_versions_and_nothing_else(self, ada: Client) -> None:
        kept, changed, gone = ada.add("kept"), ada.add("changed"), ada.add("gone")
        ada.patch(address_of(changed), {"title": "again"})
        ada.delete(address_of(gone))

        answer = ada.get(CHANGES).json()

        assert answer["results"] == [
            {"id": kept["id"], "version": 1, "deleted": False},
            {"id": changed["id"], "version": 2, "deleted": False},
            {"id": gone["id"], "version": 2, "deleted": True},
        ]
        assert answer["next"] is None

    def test_are_only_those_since(self, ada: Client) -> None:
        ada.add("before")
        follower = Follower(ada).follow()
        assert ada.get(CHANGES, {"since": follower.cursor}).json()["results"] == []

        todo = ada.add("since")
        ada.patch(address_of(todo), {"title": "changed since"})

        answer = ada.get(CHANGES, {"since": follower.cursor}).json()
        assert answer["results"] == [{"id": todo["id"], "version": 2, "deleted": False}]

    def test_include_what_came_back(self, ada: Client) -> None:
        todo = ada.add()
        ada.delete(address_of(todo))
        follower = Follower(ada).follow()

        ada.post(f"{address_of(todo)}restore/")

        assert follower.follow().copy == {todo["id"]: 3}

    def test_include_all_of_a_bulk(self, ada: Client) -> None:
        changed, gone = ada.add("changed"), ada.add("gone")
        follower = Follower(ada).follow()

        body = {
            "create": [{"title": "new"}, {"title": "newer"}],
            "update": [{"id": changed["id"], "title": "again"}],
            "delete": [gone["id"]],
        }
        new, newer, *_ = ada.post(f"{TODOS}bulk/", body).json()["results"]

        assert follower.follow().copy == {changed["id"]: 2, new["id"]: 1, newer["id"]: 1}

    def test_come_in_pages_that_lead_on(self, ada: Client) -> None:
        todos = [ada.add(f"todo {number}") for number in range(7)]
        for todo in todos[::2]:
            ada.patch(address_of(todo), {"title": "changed"})

        seen, address = [], f"{CHANGES}?page_size=2"
        while address:
            answer = ada.get(address).json()
            assert len(answer["results"]) <= 2
            seen += [each["id"] for each in answer["results"]]
            address = answer["next"]

        assert sorted(seen) == sorted(todo["id"] for todo in todos)
        assert len(Follower(ada, page_size=3).follow().copy) == 7

    def test_are_ones_own(self, ada: Client, bob: Client, staff: Client) -> None:
        bob.add(visibility="public")

        assert ada.get(CHANGES).json()["results"] == []
        assert staff.get(CHANGES).json()["results"] == []

    def test_include_what_was_there_before_positions_were_given(self, ada: Client) -> None:
        old = [ada.add(f"old {number}") for number in range(5)]
        Todo.objects.update(position=0, version=4)
        Owner.objects.update(position=0)
        ada.patch(address_of(old[1]), {"title": "changed"})

        assert Follower(ada, page_size=2).follow().copy == {
            todo["id"]: 5 if todo is old[1] else 4 for todo in old
        }

    def test_cost_as_many_queries_for_one_as_for_many(
        self, ada: Client, django_assert_num_queries: Any
    ) -> None:
        for number in range(6):
            ada.patch(address_of(ada.add()), {"title": f"changed {number}"})

        for size in (1, 5):
            with django_assert_num_queries(3, using="todos"):
                ada.get(CHANGES, {"page_size": size})

    @pytest.mark.parametrize("cursor", ["forged", "1", "\0", "한", "a:b:c"])
    def test_refuse_a_cursor_that_was_not_given(self, ada: Client, cursor: str) -> None:
        assert refused_fields(ada.get(CHANGES, {"since": cursor})) == {"since"}

    def test_refuse_somebody_elses_cursor(self, ada: Client, bob: Client) -> None:
        ada.add()
        cursor = Follower(ada).follow().cursor

        assert refused_fields(bob.get(CHANGES, {"since": cursor})) == {"since"}


@pytest.mark.django_db(databases=BOTH)
class TestSwept:
    def test_sends_back_to_the_beginning_who_could_have_missed_a_deletion(
        self, ada: Client
    ) -> None:
        gone, kept = ada.add("gone"), ada.add("kept")
        behind = Follower(ada).follow()
        ada.delete(address_of(gone))
        informed = Follower(ada).follow()
        sweep(gone)

        refused = ada.get(CHANGES, {"since": behind.cursor})

        assert (refused.status_code, refused.json()["code"]) == (410, "cursor_too_old")
        assert informed.follow().copy == Follower(ada).follow().copy == {kept["id"]: 1}

    def test_does_not_trouble_who_began_behind_the_sweep(self, ada: Client) -> None:
        todos = [ada.add(f"todo {number}") for number in range(4)]
        ada.delete(address_of(todos[3]))
        sweep(todos[3])

        assert len(Follower(ada, page_size=1).follow().copy) == 3

    def test_sends_back_who_is_ahead_of_a_backup_that_was_put_back(self, ada: Client) -> None:
        ada.add()
        ada.add()
        cursor = Follower(ada).follow().cursor
        Owner.objects.update(position=1)

        assert ada.get(CHANGES, {"since": cursor}).status_code == 410


def sweep(todo: dict[str, Any]) -> None:
    long_ago = timezone.now() - timedelta(days=31)
    Todo.objects.filter(id=todo["id"]).update(deleted_at=long_ago)
    sweep_trash(older_than=timedelta(days=30))


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestAtOnce:
    def test_none_is_missed_however_many_write(self) -> None:
        user = UserFactory.create()
        follower = Follower(signed_in(user), page_size=7)
        over = threading.Event()

        def write(number: int) -> None:
            client = signed_in(user)
            todos = [client.add(f"{number}")]
            for step in range(12):
                if step % 3 == 0:
                    todos.append(client.add(f"{number} {step}"))
                elif step % 3 == 1:
                    client.patch(address_of(todos[-1]), {"title": f"{step}"})
                else:
                    client.delete(address_of(todos.pop()))

        def write_all() -> None:
            try:
                race(*(lambda number=number: write(number) for number in range(6)))
            finally:
                over.set()

        def follow() -> int:
            rounds = 0
            while not over.is_set():
                follower.follow()
                rounds += 1
            return rounds

        _, rounds = race(write_all, follow)

        assert rounds > 3, "nobody followed while they wrote"
        assert follower.follow().copy == versions_of(user)

    def test_one_that_commits_late_is_not_passed_over(self) -> None:
        follower, user = followed_while_one_is_held()

        assert follower.follow().copy == versions_of(user)

    def test_without_the_lock_one_that_commits_late_is_missed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writing, "CREATE", writing.CREATE.replace(TAKE_POSITIONS, BY_THE_TIME))

        follower, user = followed_while_one_is_held()

        missed = versions_of(user).keys() - follower.follow().copy.keys()
        assert len(missed) == 1


def followed_while_one_is_held() -> tuple[Follower, User]:
    """One has its position, and another one that came later commits first, if it can."""
    user = UserFactory.create()
    follower = Follower(signed_in(user))
    signed_in(user).add("the first, so that the owner is known")
    Owner.objects.filter(id=user.id).update(position=BEYOND)

    with creations_held() as release:

        def overtake() -> None:
            wait_until_blocked(1, using="todos")
            race(lambda: signed_in(user).add("later"), let_go)

        def let_go() -> None:
            # The later one either commits meanwhile, or waits for the first.
            later = Todo.objects.filter(owner=user.id, title="later")
            wait_for("the later one", lambda: later.exists() or are_blocked(2, using="todos"))
            follower.follow()
            release()

        race(lambda: signed_in(user).add(HELD), overtake)
    return follower, user


# Positions in the order of asking: nobody waits for a commit.
BY_THE_TIME = """
SELECT username, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS position
FROM todos_owner WHERE id = %(owner_id)s
"""
BEYOND = 2**60  # all that the time gives
