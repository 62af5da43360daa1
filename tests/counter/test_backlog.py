"""A backlog: each batch begins where the one before ended, and nobody overtakes by that."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import consumer
from apps.counter import public as counter
from apps.counter.accepting import accept_increments
from apps.counter.consumer import ALL, LARGEST, Batch, apply_batch
from apps.counter.models import Entry
from apps.users.models import User
from kit.directory import Viewer
from tests.conftest import Start
from tests.counter.interleaving import ACCEPTING, Pause, paused_after, rewritten
from tests.counter.ledger import faults_of

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

BACKLOG, BATCH = 2_000, 100
GIVEN_OUT = "(SELECT last_value FROM counter_pending_position_seq)"
NO_END = f"{LARGEST}::bigint"
FOUND = """
SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'counter_pending_pkey'
"""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "BATCH_ROWS", BATCH)


def accept(counter_id: UUID, owner: User, *amounts: int) -> None:
    accept_increments(
        counter_id=counter_id,
        viewer=Viewer(owner.id),
        increments=[(amount, None) for amount in amounts],
    )


@contextmanager
def somebody_looking() -> Iterator[None]:
    """A transaction that might yet see what is taken meanwhile, so that nothing is cleared up."""
    other = connections["counter"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT FROM counter_pending LIMIT 1")
        yield
    finally:
        other.close()


def entries_found() -> int:
    """How many entries of the index of positions have been found so far, in all sessions."""
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(FOUND)
        (found,) = cursor.fetchone()
        return int(found)


class TestCost:
    def test_of_a_batch_does_not_grow_with_what_was_taken_before(
        self, tally: UUID, ada: User
    ) -> None:
        # Each is found once to be taken, once to be removed, and once by the look for more.
        assert self.found_while_applying(tally, ada) < 4 * BACKLOG

    def test_would_where_each_began_at_the_front(
        self, tally: UUID, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def from_the_front(**options: Any) -> Batch:
            return apply_batch(**options)._replace(rest=ALL)

        monkeypatch.setattr(consumer, "apply_batch", from_the_front)

        assert self.found_while_applying(tally, ada) > 8 * BACKLOG

    def found_while_applying(self, tally: UUID, ada: User) -> int:
        accept(tally, ada, *[1] * BACKLOG)
        with somebody_looking():
            before = entries_found()
            counter.apply_pending_increments()
            found = entries_found() - before
        assert faults_of(tally) == []
        assert Entry.objects.count() == BACKLOG
        return found


class TestOrder:
    """One is accepted late, before a position that was passed; behind it another is sent."""

    def test_is_kept(
        self, tally: UUID, ada: User, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late, later = self.places(tally, ada, start, monkeypatch)

        assert late < later

    def test_would_not_be_if_a_backlog_had_no_end(
        self, tally: UUID, ada: User, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late, later = self.places(tally, ada, start, monkeypatch, has_an_end=False)

        assert later < late

    def places(
        self,
        tally: UUID,
        ada: User,
        start: Start,
        monkeypatch: pytest.MonkeyPatch,
        *,
        has_an_end: bool = True,
    ) -> tuple[int, int]:
        pause = Pause()

        def accept_late() -> None:
            with paused_after(ACCEPTING, pause):
                accept(tally, ada, 7)

        accepting = start(accept_late)
        pause.wait_until_reached()
        accept(tally, ada, *[1] * (2 * BATCH))
        batches = 0

        def apply_and_send(**options: Any) -> Batch:
            nonlocal batches
            batch = apply_batch(**options)
            batches += 1
            if batches == 1:
                pause.end()
                accepting.result()
                accept(tally, ada, 9)
            return batch

        monkeypatch.setattr(consumer, "apply_batch", apply_and_send)
        with nullcontext() if has_an_end else rewritten(GIVEN_OUT, NO_END):
            counter.apply_pending_increments()
        assert faults_of(tally) == []
        place = {entry.amount: entry.place for entry in Entry.objects.filter(amount__gt=1)}
        return place[7], place[9]


def test_what_stands_beyond_the_positions_given_out_is_applied(tally: UUID, ada: User) -> None:
    """As in a database that was filled by hand, without its sequence."""
    accept(tally, ada, *[1] * (3 * BATCH))
    with connections["counter"].cursor() as cursor:
        cursor.execute("SELECT setval('counter_pending_position_seq', 1)")
    counter.apply_pending_increments()
    assert faults_of(tally) == []
    assert Entry.objects.count() == 3 * BATCH
