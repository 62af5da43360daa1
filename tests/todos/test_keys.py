"""Idempotency-Key: the same request again gets the first answer, and creates nothing."""

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from apps.todos.models import Todo
from apps.todos.operations import writing
from apps.todos.operations.trash import sweep_trash
from apps.todos.owners import TODOS as HOLDINGS
from apps.todos.owners import TodosHoldings
from apps.todos.queries.history import get_as_of
from apps.todos.queries.own import find_created_under
from apps.users.operations.accounts import change_user
from kit.directory import Viewer
from tests.factories import UserFactory
from tests.racing import in_thread, join, race
from tests.todos.conftest import TODOS, Client, address_of, refused_fields, signed_in

BOTH = ["default", "todos"]
ASKED: dict[str, Any] = {
    "title": "우유를 사다",
    "content": "two litres",
    "tags": ["shop"],
    "due_at": "2031-05-01T08:30:00Z",
    "completed": True,
}


def create(client: Client, key: str, path: str = TODOS, **fields: Any) -> Any:
    return client.post(path, {**ASKED, **fields}, headers={"Idempotency-Key": key})


@pytest.mark.django_db(databases=BOTH)
class TestSameRequest:
    def test_gets_the_first_answer_and_creates_nothing(self, ada: Client) -> None:
        first = create(ada, "monday")

        again = create(ada, "monday")

        assert first.status_code == again.status_code == 201
        assert again.json() == first.json()
        assert (again["Location"], again["ETag"]) == (first["Location"], first["ETag"])
        assert ada.list() == [ASKED["title"]]

    def test_is_the_same_at_its_other_address(self, ada: Client) -> None:
        first = create(ada, "monday")

        assert create(ada, "monday", path="/api/todo/create").json() == first.json()

    @pytest.mark.parametrize("then", ["changed", "deleted", "deleted and restored"])
    def test_gets_the_first_answer_whatever_became_of_the_todo(
        self, ada: Client, then: str
    ) -> None:
        first = create(ada, "monday")
        todo = first.json()
        if then == "changed":
            ada.patch(address_of(todo), {"title": "Rest", "completed": False, "tags": []})
        else:
            ada.delete(address_of(todo))
        if then == "deleted and restored":
            ada.post(f"{address_of(todo)}restore/")

        again = create(ada, "monday")

        assert (again.status_code, again.json()) == (201, todo)
        assert again["ETag"] == first["ETag"]
        assert Todo.objects.count() == 1

    def test_gets_the_first_answer_behind_a_new_name(self) -> None:
        user = UserFactory.create(username="ada")
        ada = signed_in(user)
        first = create(ada, "monday")
        change_user(user_id=user.id, viewer=Viewer(user.id), username="Countess")
        HOLDINGS.follow()

        again = create(ada, "monday")

        assert ada.get(address_of(first.json())).json()["owner"]["username"] == "Countess"
        assert (again.status_code, again.json()) == (201, first.json())
        assert again["ETag"] == first["ETag"]

    def test_of_a_todo_whose_owners_name_was_not_kept_has_the_present_one(
        self, ada: Client
    ) -> None:
        first = create(ada, "monday")
        Todo.objects.update(created_as="")

        assert create(ada, "monday").json() == first.json()

    @pytest.mark.django_db(databases=BOTH, transaction=True)
    def test_gets_the_first_answer_while_the_trash_is_swept(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = signed_in(UserFactory.create())
        todo = create(ada, "monday").json()
        ada.delete(address_of(todo))
        sweeps = []

        def find_then_sweep(*args: Any) -> Todo | None:
            known = find_created_under(*args)
            sweeps.append(in_thread(sweep_trash, older_than=timedelta()))
            return known

        def look_once_it_had_time(*args: Any) -> Todo:
            wait(sweeps, timeout=0.5)
            return get_as_of(*args)

        monkeypatch.setattr(writing, "find_created_under", find_then_sweep)
        monkeypatch.setattr(writing, "get_as_of", look_once_it_had_time)

        again = create(ada, "monday")
        join(sweeps)

        assert (again.status_code, again.json()) == (201, todo)

    def test_without_a_key_creates_another(self, ada: Client) -> None:
        ada.add("Rest")
        ada.add("Rest")

        assert ada.list() == ["Rest", "Rest"]


@pytest.mark.django_db(databases=BOTH)
class TestOtherRequest:
    @pytest.mark.parametrize(
        "other",
        [
            {"title": "Rest"},
            {"content": ""},
            {"category": "home"},
            {"tags": []},
            {"due_at": None},
            {"completed": False},
            {"visibility": "public"},
        ],
    )
    def test_under_the_same_key_is_refused(self, ada: Client, other: dict[str, Any]) -> None:
        create(ada, "monday")

        response = create(ada, "monday", **other)

        assert (response.status_code, response.json()["code"]) == (422, "key_reused")
        assert ada.list() == [ASKED["title"]]

    def test_of_somebody_else_is_nobody_elses_business(self, ada: Client, bob: Client) -> None:
        first = create(ada, "monday").json()

        theirs = create(bob, "monday").json()

        assert theirs["id"] != first["id"]
        assert theirs["owner"]["username"] == "bob"

    def test_that_was_refused_leaves_the_key_free(self, ada: Client) -> None:
        assert create(ada, "monday", title="").status_code == 400

        assert create(ada, "monday").status_code == 201


@pytest.mark.django_db(databases=BOTH)
class TestKey:
    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb"])
    def test_that_is_none_is_refused(self, ada: Client, key: str) -> None:
        assert refused_fields(create(ada, key)) == {"Idempotency-Key"}
        assert ada.list() == []

    @pytest.mark.parametrize("key", ["x", "~" * 255, '"quoted"', "%00", "import/1"])
    def test_may_be_anything_visible(self, ada: Client, key: str) -> None:
        assert create(ada, key).json() == create(ada, key).json()

    def test_goes_with_its_owner(self, ada: Client) -> None:
        owner_id = UUID(create(ada, "monday").json()["owner"]["id"])
        HOLDINGS.entomb(owner_id)
        while not HOLDINGS.purge_chunk(owner_id).finished:
            pass

        assert not Todo.objects.filter(key="monday").exists()
        assert create(ada, "monday").status_code == 409


@pytest.mark.django_db(databases=BOTH, transaction=True)
class TestAtOnce:
    def test_many_create_one(self) -> None:
        user = UserFactory.create()
        signed_in(user).add("the first")

        answers = race(*[lambda: create(signed_in(user), "monday")] * 12)

        assert {answer.status_code for answer in answers} <= {201, 409}
        created = [answer.json() for answer in answers if answer.status_code == 201]
        assert created.count(created[0]) == len(created) >= 1
        assert Todo.objects.filter(owner=user.id).count() == 2
        assert create(signed_in(user), "monday").json() == created[0]

    def test_one_still_in_flight_is_told_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        user = UserFactory.create()
        signed_in(user).add("the first")
        answered: list[Any] = []
        in_flight, over = threading.Event(), threading.Event()
        changing = TodosHoldings.changing

        @contextmanager
        def held(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with changing(*args, **kwargs) as turns:
                if not in_flight.is_set():
                    in_flight.set()
                    assert over.wait(20), "the other one was not answered"
                yield turns

        monkeypatch.setattr(TodosHoldings, "changing", held)

        def send_again() -> None:
            assert in_flight.wait(20), "the first never came"
            answered.append(create(signed_in(user), "monday"))
            over.set()

        first, _ = race(lambda: create(signed_in(user), "monday"), send_again)

        assert (answered[0].status_code, answered[0].json()["code"]) == (409, "key_in_flight")
        assert first.status_code == 201
        assert create(signed_in(user), "monday").json() == first.json()
