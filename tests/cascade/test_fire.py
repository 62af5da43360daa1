"""The fence under fire: everything that creates rows for a user, from many threads at once, while
the user is deleted. Over HTTP, where the token dies first, and right at the operations."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.errors import CounterNotFound
from apps.todos.models import Owner
from apps.todos.operations.writing import create_todo
from apps.todos.owners import TodosHoldings, Turn
from apps.users.models import Deletion, User
from kit.directory import Viewer
from kit.holdings import OwnerIsGone
from kit.transactions import durable
from tests.cascade.deleting import GONE, counted, work_until_done
from tests.clients import client_of
from tests.people import EVERYWHERE, Citizen, rows_left, settle
from tests.polling import wait_for
from tests.racing import race

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

ROUNDS = 12
ARRAY = 25
COUNTER_OPENERS = 2
CREATED, REFUSED = {200, 201, 202}, {401, 404, 409}


@dataclass
class Fire:
    """What was asked for, by everybody together. Rows that were accepted, by app."""

    citizen: Citizen
    accepted: dict[str, int] = field(default_factory=lambda: {"todos": 0, "counter": 0})
    statuses: set[int] = field(default_factory=set)

    def over_http(
        self, path: str, body: Callable[[int], Any], *, rows: int = 1
    ) -> Callable[[], int]:
        """To be run: rows accepted until the first refusal; each request asks for so many.

        Signs in at once, before anybody can delete the account.
        """
        client = client_of(User.objects.get(id=self.citizen.id))

        def ask(number: int) -> int:
            answer = client.post(path, body(number))
            self.statuses.add(answer.status_code)
            if answer.status_code not in CREATED:
                raise OwnerIsGone
            return rows

        return partial(self._until_refused, ask)

    def _until_refused(self, ask: Callable[[int], int]) -> int:
        rows = 0
        while True:
            try:
                rows += ask(rows)
            except (OwnerIsGone, CounterNotFound):
                return rows

    def delete(self, when: Callable[[], object]) -> None:
        client = client_of(User.objects.get(id=self.citizen.id))
        wait_for("the others at it", when)
        answer = client.delete(f"/api/users/{self.citizen.id}/")
        self.statuses.add(answer.status_code)
        work_until_done()

    def burn(self, when: Callable[[], object] | None = None) -> Deletion:
        """Everybody at once; returns the deletion when all have been refused.

        It is asked for `when` the others are at it: by default when each may have had a row.
        """
        owner_id, counter_id = self.citizen.id, self.citizen.counter_id
        increments = f"/api/counters/{counter_id}/increments/"
        before = sum(rows_left(owner_id).values())

        def create(number: int) -> int:
            create_todo(owner_id=owner_id, title=f"todo {number}")
            return 1

        def increment(number: int) -> int:
            keys = [(1, f"operation-{number + each}") for each in range(ARRAY)]
            accept_increments(counter_id=counter_id, viewer=Viewer(owner_id), increments=keys)
            return ARRAY

        def open_counter(number: int) -> int:
            counter.open_counter(owner_id=owner_id, name=f"operation {number}")
            return 1

        def have_increments_applied() -> int:
            return self._until_refused(apply_and_look)

        def apply_and_look(number: int) -> int:
            counter.apply_pending_increments()
            if not User.objects.filter(id=owner_id).exists():
                raise OwnerIsGone
            return 0

        def have_begun() -> bool:
            return sum(rows_left(owner_id).values()) >= before + 4 * ARRAY

        *rows, _, _ = race(
            self.over_http("/api/todos/", lambda n: {"title": f"todo {n}"}),
            self.over_http(
                "/api/todos/bulk/",
                lambda n: {"create": [{"title": f"bulk {n + each}"} for each in range(ARRAY)]},
                rows=ARRAY,
            ),
            partial(self._until_refused, create),
            partial(self._until_refused, create),
            self.over_http("/api/counters/", lambda n: {"name": f"http {n}"}),
            partial(self._until_refused, open_counter),
            self.over_http(increments, lambda n: {"key": f"http-{n}"}),
            self.over_http(
                increments,
                lambda n: [{"key": f"array-{n + each}"} for each in range(ARRAY)],
                rows=ARRAY,
            ),
            partial(self._until_refused, increment),
            have_increments_applied,
            partial(self.delete, when or have_begun),
        )
        todos, counters = sum(rows[:4]), sum(rows[4:])
        self.accepted = {"todos": todos, "counter": counters}
        return Deletion.objects.get(user_id=owner_id)


class TestFire:
    @pytest.mark.timeout(300)
    def test_leaves_no_orphan_and_causes_no_error_over_and_over(self) -> None:
        for number in range(ROUNDS):
            fire = Fire(settle(f"leaver{number}"))

            deletion = fire.burn()

            assert fire.statuses <= CREATED | REFUSED
            assert rows_left(fire.citizen.id) == GONE
            assert deletion.state == "done"
            rows = counted(deletion)
            assert rows["todos"] == 5 + fire.accepted["todos"]
            # Who opens a counter may be told that there is none: by then it is out of sight.
            assert rows["counter"] - 6 - fire.accepted["counter"] in range(COUNTER_OPENERS + 1)

    def test_leaves_orphans_where_the_fence_does_not_hold(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fire, under_way = Fire(settle("leaver")), threading.Event()

        @contextmanager
        def changing_without_a_lock(
            held: TodosHoldings, changes: Mapping[UUID, int], *, key: str | None = None
        ) -> Iterator[dict[UUID, Turn]]:
            """Looks for the tombstone, and creates a todo when that has long been set."""
            (owner_id,) = changes
            with durable(held.alias):
                if held.entombed([owner_id]):
                    raise OwnerIsGone
                under_way.set()
                wait_for("the account gone", lambda: not User.objects.filter(id=owner_id).exists())
                yield {owner_id: Turn(Owner.objects.get(id=owner_id), count(1))}

        monkeypatch.setattr(TodosHoldings, "changing", changing_without_a_lock)
        fire.burn(when=under_way.is_set)

        assert rows_left(fire.citizen.id)["todos"] > 0
