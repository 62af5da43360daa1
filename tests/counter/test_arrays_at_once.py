"""Arrays of increments that come at the same time as others with the same keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID

import pytest
from django.db import OperationalError, connections

from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.models import Counter, Increment
from apps.users.models import User
from kit.directory import Viewer
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import rewritten
from tests.counter.ledger import faults_of
from tests.racing import race, wait_until_blocked

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

MOST = 10_000


class TestTwoAtOnce:
    """Two arrays with the same keys, in opposite order."""

    def accept(self, owner: User, counter_id: UUID, keys: str) -> int:
        receipts = accept_increments(
            counter_id=counter_id, viewer=Viewer(owner.id), increments=[(1, key) for key in keys]
        )
        assert [receipt.key for receipt in receipts] == [*keys]
        return sum(receipt.is_new for receipt in receipts)

    def test_count_each_key_once(self, ada: User, tally: UUID) -> None:
        items = [{"key": str(number)} for number in range(MOST)]
        clients = [client_of(ada) for _ in range(4)]

        answers = race(
            *(
                partial(client.post, f"/api/counters/{tally}/increments/", items[::step])
                for client, step in zip(clients, (1, -1, 1, -1), strict=True)
            )
        )

        assert [answer.status_code for answer in answers] == [202] * 4
        assert sum(answer.json()["accepted"] for answer in answers) == MOST
        counter.apply_pending_increments()
        assert Counter.objects.get().value == MOST
        assert faults_of(tally) == []

    def test_wait_for_each_other_and_never_in_a_circle(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        with gate_before_the_second_row() as gate:
            first = start(self.accept, ada, tally, "ab")
            wait_until_blocked(1, using="counter")
            second = start(self.accept, ada, tally, "ba")
            wait_until_blocked(2, using="counter")
            gate()

            assert (first.result(), second.result()) == (2, 0)
        assert Increment.objects.count() == 2

    def test_would_wait_in_a_circle_if_keys_were_written_as_they_come(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        def accept(keys: str) -> int:
            with rewritten("ORDER BY digest, position", "ORDER BY position"):
                return self.accept(ada, tally, keys)

        with gate_before_the_second_row() as gate:
            both = [start(accept, keys) for keys in ("ab", "ba")]
            wait_until_blocked(2, using="counter")
            gate()

            [deadlock] = [error for each in both if (error := each.exception())]
        assert isinstance(deadlock, OperationalError)
        assert "deadlock detected" in str(deadlock)


@contextmanager
def gate_before_the_second_row() -> Iterator[Callable[[], object]]:
    """Every transaction stops before the second key that it takes.

    Gives what opens the gate, for all of them and for good.
    """
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(1)")
        cursor.execute(
            """
            CREATE FUNCTION stop_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF current_setting('tests.row', true) = '1' THEN
                    PERFORM pg_advisory_xact_lock_shared(1);
                END IF;
                PERFORM set_config('tests.row', '1', true);
                RETURN new;
            END $$;
            CREATE TRIGGER gate BEFORE INSERT ON counter_key
            FOR EACH ROW EXECUTE FUNCTION stop_at_gate();
            """
        )
        try:
            yield lambda: cursor.execute("SELECT pg_advisory_unlock(1)")
        finally:
            cursor.execute("SELECT pg_advisory_unlock_all()")
            cursor.execute("DROP FUNCTION stop_at_gate CASCADE")
