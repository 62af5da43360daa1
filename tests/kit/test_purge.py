"""Purging an owner in chunks: every row once, counted exactly, wherever it was interrupted."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from apps.counter import public as counter
from apps.counter.models import Entry, Owner
from apps.counter.owners import COUNTERS
from kit import holdings
from kit.holdings import START, Holdings, NotEntombed
from kit.ids import new_id
from kit.purging import LOWEST
from tests.kit.killing import Killed, killed_after
from tests.people import EVERYWHERE, settle
from tests.racing import race

ROWS = {"todos": 5, "counter": 6}  # five increments and their counter


@pytest.fixture(params=["todos", "counter"])
def held(request: pytest.FixtureRequest) -> Holdings:
    return next(held for held in holdings.registered() if held.app == request.param)


def purge(held: Holdings, owner_id: UUID) -> int:
    """Begin a purge, or go on with one, in chunks of two; the rows deleted in all."""
    held.entomb(owner_id)
    start = START
    while not (chunk := held.purge_chunk(owner_id, rows=2, start=start)).finished:
        start = chunk.end
    return chunk.deleted[owner_id]


@pytest.mark.django_db(databases=EVERYWHERE)
class TestPurge:
    def test_deletes_everything_of_one_owner_and_nothing_of_another(self, held: Holdings) -> None:
        leaver, stayer = settle("leaver"), settle("stayer")

        assert purge(held, leaver.id) == ROWS[held.app]

        assert held.is_purged(leaver.id)
        assert held.count(leaver.id) == 0
        assert held.count(stayer.id) == ROWS[held.app]

    def test_goes_on_from_one_counter_of_the_owner_to_the_next(self) -> None:
        leaver, stayer = settle("leaver"), settle("stayer")
        for number in range(4):
            counter_id = counter.open_counter(owner_id=leaver.id, name=f"tally {number}")
            for key in range(number):  # the first one has none
                counter.increment(counter_id=counter_id, owner_id=leaver.id, key=f"key-{key}")
        counter.apply_pending_increments()

        assert purge(COUNTERS, leaver.id) == ROWS["counter"] + 4 + 6

        assert COUNTERS.count(leaver.id) == 0
        assert COUNTERS.count(stayer.id) == ROWS["counter"]

    def test_waits_for_the_disk_with_its_last_chunk(
        self, held: Holdings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """So nothing is said to be done that a crash of the server could undo."""
        leaver, seen = settle("leaver"), []
        count_deleted = Holdings._count_deleted

        def count_and_look(self: Holdings, *args: Any) -> None:
            count_deleted(self, *args)
            with connections[held.alias].cursor() as cursor:
                cursor.execute("SHOW synchronous_commit")
                seen.append(cursor.fetchone()[0])

        monkeypatch.setattr(Holdings, "_count_deleted", count_and_look)
        # The tests' server waits for nothing anyway, so a third way stands for not waiting.
        monkeypatch.setattr(holdings, "UNHURRIED", "SET LOCAL synchronous_commit = local")
        purge(held, leaver.id)

        *others, last = seen
        assert set(others) == {"local"}
        assert last != "local"

    @pytest.mark.parametrize("rows", [2, 10_000])
    def test_of_several_counts_each_for_itself(self, held: Holdings, rows: int) -> None:
        """In one statement where they have little, in one for each where they may have much."""
        stayer = settle("stayer")
        leavers = [settle(f"leaver{number}", rows=number + 1).id for number in range(3)]
        everything = held.rows_of(leavers)
        held.entomb(*leavers)

        while not (chunk := held.purge_chunk(*leavers, rows=rows)).finished:
            pass

        assert chunk.deleted == everything
        assert held.rows_left(leavers) == dict.fromkeys(leavers, 0)
        assert held.count(stayer.id) == ROWS[held.app]

    def test_repeated_counts_nothing_twice(self, held: Holdings) -> None:
        leaver = settle("leaver")
        purge(held, leaver.id)

        assert purge(held, leaver.id) == ROWS[held.app]

        assert held.is_purged(leaver.id)

    def test_counts_by_a_plan_of_its_own_for_each_way_of_counting(self, held: Holdings) -> None:
        """What is prepared under the settings of one is not executed for another."""
        leaver = settle("leaver")
        for _ in range(10):
            held.rows_of([leaver.id]), held.rows_left([leaver.id]), held.count(leaver.id)

        with connections[held.alias].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s",
                ["%*/ SELECT id, (%count(*)%"],
            )
            assert cursor.fetchone() == (3,)

    def test_of_one_who_was_never_here_is_a_tombstone_all_the_same(self, held: Holdings) -> None:
        stranger = new_id()

        assert purge(held, stranger) == 0

        assert held.owners._default_manager.get(id=stranger).tombstoned_at

    def test_is_refused_without_a_tombstone(self, held: Holdings) -> None:
        citizen = settle("citizen")

        with pytest.raises(NotEntombed):
            held.purge_chunk(citizen.id)

        assert held.count(citizen.id) == ROWS[held.app]

    def test_takes_no_more_at_once_than_it_was_told(self, held: Holdings) -> None:
        leaver = settle("leaver")
        held.entomb(leaver.id)

        first = held.purge_chunk(leaver.id, rows=2)

        assert (first.rows, first.deleted, first.finished) == (2, {leaver.id: 2}, False)
        assert not held.is_purged(leaver.id)
        assert held.count(leaver.id) == ROWS[held.app] - 2


@pytest.mark.django_db(databases=EVERYWHERE)
class TestEntomb:
    def test_says_how_many_rows_are_gone_however_far_the_purge_is(self, held: Holdings) -> None:
        leaver = settle("leaver")

        totals = [held.entomb(leaver.id)[leaver.id] + held.count(leaver.id)]
        while not held.purge_chunk(leaver.id, rows=2).finished:
            totals.append(held.entomb(leaver.id)[leaver.id] + held.count(leaver.id))

        assert set(totals) == {ROWS[held.app]}

    def test_keeps_when_it_was_first_done(self, held: Holdings) -> None:
        leaver = settle("leaver")
        held.entomb(leaver.id)
        first = held.owners._default_manager.get(id=leaver.id)

        held.entomb(leaver.id)

        again = held.owners._default_manager.get(id=leaver.id)
        assert again.tombstoned_at == first.tombstoned_at
        assert again.username == ""


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestInterrupted:
    def test_counts_exactly_after_whichever_statement_it_was_killed(self, held: Holdings) -> None:
        number, was_killed = 0, True
        while was_killed:
            number += 1
            leaver = settle(f"leaver{number}")

            was_killed = purge_killed_after(held, leaver.id, number)

            assert purge(held, leaver.id) == ROWS[held.app]
            assert held.count(leaver.id) == 0
        assert number > 3 * ROWS[held.app], "it was hardly ever killed"

    def test_begins_anew_where_a_crash_of_the_server_took_a_chunk_back(self) -> None:
        """Whoever went on behind it would leave entries whose counter is gone: out of sight."""
        leaver = settle("leaver")
        COUNTERS.entomb(leaver.id)
        first = COUNTERS.purge_chunk(leaver.id, rows=2)
        before = list(Entry.objects.filter(counter=leaver.counter_id))

        second = COUNTERS.purge_chunk(leaver.id, rows=2, start=first.end)
        assert (second.rows, second.finished) == (2, False)
        Entry.objects.bulk_create(before, ignore_conflicts=True)
        Owner.objects.filter(id=leaver.id).update(purged_rows=first.rows)
        connections["counter"].close()

        chunk = second
        while not chunk.finished:
            chunk = COUNTERS.purge_chunk(leaver.id, rows=2, start=chunk.end)
        assert not Entry.objects.filter(counter=leaver.counter_id).exists()
        assert chunk.deleted == {leaver.id: ROWS["counter"]}

    def test_goes_on_from_its_place_while_the_session_lasts(self) -> None:
        leaver = settle("leaver")
        COUNTERS.entomb(leaver.id)
        first = COUNTERS.purge_chunk(leaver.id, rows=2)
        theirs = Entry.objects.filter(counter=leaver.counter_id)
        behind = theirs.order_by("-id")[0]
        behind.id, behind.place, behind.key = LOWEST, 99, "behind"
        behind.save(force_insert=True)

        COUNTERS.purge_chunk(leaver.id, rows=10, start=first.end)

        assert list(theirs) == [behind]

    def test_counts_exactly_with_two_at_it(self, held: Holdings) -> None:
        leaver = settle("leaver", rows=40)
        everything = held.count(leaver.id)

        answers = race(*[lambda: purge(held, leaver.id)] * 2)

        assert answers == [everything] * 2


def purge_killed_after(held: Holdings, owner_id: UUID, number: int) -> bool:
    """Purge and die after so many statements. Whether there were as many."""
    try:
        with killed_after(held.alias, number=number):
            purge(held, owner_id)
    except Killed:
        return True
    return False
