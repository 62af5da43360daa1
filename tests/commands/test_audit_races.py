"""`manage.py audit`, with and without `--repair`, while the consumer is at work."""

from contextlib import ExitStack
from functools import partial

import pytest
from django.core.management import call_command
from django.db import connections

from apps.counter import public as counter
from apps.counter.models import Counter, Increment
from tests.commands.repairing import Answering, damage, repair
from tests.conftest import Start
from tests.counter.interleaving import Pause, paused_after, rewritten
from tests.people import EVERYWHERE, Citizen
from tests.racing import wait_until_blocked

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

COMPARING = "CROSS JOIN LATERAL"
SLOT_LOCK = "pg_advisory_xact_lock(%s, slot)"
ROW_LOCK = "FOR NO KEY UPDATE"


class TestConsumerDuringAudit:
    """What it does while the audit looks is seen whole or not at all."""

    @pytest.fixture(autouse=True)
    def pending(self, citizen: Citizen) -> None:
        counter.increment(counter_id=citizen.counter_id, owner_id=citizen.id)

    def test_may_settle_between_two_statements(self, start: Start) -> None:
        def look() -> None:
            with paused_after('"counter_counter"."entries" AS', pause):
                call_command("audit")

        pause = Pause()
        looking = start(look)
        pause.wait_until_reached()
        counter.apply_pending_increments()
        pause.end()

        looking.result()
        assert Counter.objects.get().value == 6

    def test_may_have_settled_without_having_committed(self, start: Start) -> None:
        def settle_one() -> None:
            with paused_after("UPDATE counter_counter", pause):
                counter.apply_pending_increments()

        pause = Pause()
        settling = start(settle_one)
        pause.wait_until_reached()
        start(partial(call_command, "audit")).result()
        pause.end()

        settling.result()
        call_command("audit")
        assert Counter.objects.get().value == 6


class TestConsumerDuringRepair:
    """A repair is decided on what the ledger says once the consumer is held off."""

    @pytest.fixture(autouse=True)
    def pending(self, citizen: Citizen) -> None:
        """And a wrong time, which the consumer puts right itself."""
        counter.increment(counter_id=citizen.counter_id, owner_id=citizen.id)
        damage(settled_at=None)

    @pytest.mark.parametrize("removed", [[], [SLOT_LOCK], [ROW_LOCK]])
    def test_is_waited_for_by_either_lock(
        self, citizen: Citizen, start: Start, removed: list[str]
    ) -> None:
        assert self.race(citizen, start, removed) == 6

        call_command("audit")

    def test_would_lose_an_increment_without_the_locks(
        self, citizen: Citizen, start: Start
    ) -> None:
        assert self.race(citizen, start, [SLOT_LOCK, ROW_LOCK]) == 5

    def test_waits_for_a_repair(self, citizen: Citizen, start: Start) -> None:
        def mend() -> bool:
            with paused_after(COMPARING, pause):
                return counter.repair_counter(citizen.counter_id)

        pause = Pause()
        mending = start(mend)
        pause.wait_until_reached()
        settling = start(counter.apply_pending_increments)
        wait_until_blocked(1, using="counter")
        # Whoever increments is not held up.
        counter.increment(counter_id=citizen.counter_id, owner_id=citizen.id)
        pause.end()

        assert mending.result() is True
        settling.result()
        counter.apply_pending_increments()
        assert Counter.objects.get().value == 7
        call_command("audit")

    def test_may_have_made_a_repair_needless(self, citizen: Citizen, answering: Answering) -> None:
        answering("yes\n", meanwhile=counter.apply_pending_increments)

        call_command("audit", "--repair")

        assert Counter.objects.get().value == 6

    def test_may_have_made_a_repair_impossible(
        self, citizen: Citizen, answering: Answering, capsys: pytest.CaptureFixture[str]
    ) -> None:
        damage(value=99)
        answering("yes\n", meanwhile=counter.apply_pending_increments)

        assert repair() == "2 fault(s) left, for a person to decide on"

        assert Counter.objects.get().value == 100
        said = capsys.readouterr()
        assert f"counter {citizen.counter_id}: changed meanwhile, left alone" in said.out
        assert "the ledger breaks at place 6" in said.err

    def test_is_not_waited_for_for_ever(
        self, citizen: Citizen, start: Start, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pause = Pause()
        start(self.settle_and_pause, pause)
        pause.wait_until_reached()
        with connections["counter"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        try:
            assert repair("--yes") == "1 fault(s) left, for a person to decide on"
        finally:
            pause.end()
            connections["counter"].close()

        assert "not repaired, canceling statement due to lock timeout" in capsys.readouterr().out

    def settle_and_pause(self, pause: Pause) -> None:
        """Stops before it commits."""
        with paused_after("UPDATE counter_counter", pause):
            counter.apply_pending_increments()

    def race(self, citizen: Citizen, start: Start, removed: list[str]) -> int:
        """The value after a repair that began, without these locks, before a commit."""

        def mend() -> None:
            with ExitStack() as stack:
                for lock in removed:
                    stack.enter_context(rewritten(lock, "%s" if "%s" in lock else ""))
                counter.repair_counter(citizen.counter_id)

        pause = Pause()
        settling = start(self.settle_and_pause, pause)
        pause.wait_until_reached()
        mending = start(mend)
        wait_until_blocked(1, using="counter")
        pause.end()
        settling.result()
        mending.result()
        assert Increment.objects.count() == 6
        return Counter.objects.values_list("value", flat=True).get()
