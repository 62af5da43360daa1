"""Deletions of which nothing was heard for long: paused, counted, or with everything down."""

from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connections
from django.utils import timezone

from apps.todos.owners import TODOS
from apps.users.models import DeletionStep
from apps.users.operations.deletions import pause_deletion, resume_deletion
from tasks import cascade
from tests.cascade.deleting import COUNTED, counted, delete, state_of, work_until_done
from tests.people import EVERYWHERE, settle
from tests.polling import wait_for

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


@pytest.mark.usefixtures("small_chunks")
class TestLongSilence:
    def test_ends_no_deletion(self) -> None:
        deletion, look = delete(settle("leaver")), cascade.Look()
        for _ in range(6):
            look.work_a_round()
        long_ago = timezone.now() - timedelta(days=3)
        silent = DeletionStep.objects.filter(deletion=deletion, rate__isnull=False)
        assert silent.update(reported_at=long_ago) > 0

        work_until_done()

        assert (state_of(deletion), counted(deletion)) == ("done", COUNTED)

    def test_is_forgotten_when_a_paused_one_is_resumed(self) -> None:
        deletion, look = delete(settle("leaver")), cascade.Look()
        for _ in range(2):
            look.work_a_round()
        pause_deletion(deletion_id=deletion.id)
        steps = DeletionStep.objects.filter(deletion=deletion)
        steps.update(reported_at=timezone.now() - timedelta(hours=3))

        resumed_at = timezone.now()
        resume_deletion(deletion_id=deletion.id)

        assert all(step.reported_at and step.reported_at >= resumed_at for step in steps)


def outlast_the_session(monkeypatch: pytest.MonkeyPatch, method: str, *outcomes: Any) -> list[Any]:
    """Whenever the todos are asked to do this, the users' session ends meanwhile."""
    do, ended = getattr(TODOS, method), []

    def do_slowly(*args: Any, **how: Any) -> Any:
        pid = connections["default"].connection.info.backend_pid
        wait_for("the users' session ended", lambda: not is_there(pid))
        ended.append(pid)
        if len(ended) <= len(outcomes):
            raise outcomes[len(ended) - 1]
        return do(*args, **how)

    monkeypatch.setattr(TODOS, method, do_slowly)
    return ended


def is_there(pid: int) -> bool:
    with connections["todos"].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", [pid])
        return bool(cursor.fetchone()[0])


class TestStatementThatOutlastsTheUsersSession:
    """It is ended when a worker stands still, and cannot tell one that waits for another database.

    Once a look, for a session that replaces it is not ended: it has no lock.
    """

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("apps.users.operations.cascading.IDLE_SECONDS", 0.2)

    @pytest.mark.parametrize("method", ["rows_of", "purge_chunk", "rows_left"])
    def test_holds_up_no_deletion(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        deletion = delete(settle("leaver"))

        with monkeypatch.context() as slow:
            ended = outlast_the_session(slow, method)
            cascade.advance_deletions()
        work_until_done()

        assert ended
        assert (state_of(deletion), counted(deletion)) == ("done", COUNTED)

    @pytest.mark.parametrize("method", ["purge_chunk", "rows_left"])
    def test_is_noted_when_it_fails(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        deletion = delete(settle("leaver"))

        with monkeypatch.context() as slow:
            outlast_the_session(slow, method, OperationalError("it took too long"))
            cascade.advance_deletions()

        step = DeletionStep.objects.get(deletion=deletion, app="todos")
        assert (step.failures, step.last_error) == (1, "it took too long")

    def test_ends_the_look_at_the_limit_that_celery_sets(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deletions = [delete(settle(f"leaver{number}")) for number in range(3)]
        asked = []

        def count_for_ever(owner_ids: Any) -> None:
            asked.append(owner_ids)
            raise SoftTimeLimitExceeded

        monkeypatch.setattr(TODOS, "rows_of", count_for_ever)
        with pytest.raises(SoftTimeLimitExceeded):
            cascade.advance_deletions()

        assert len(asked) == 1
        assert {state_of(each) for each in deletions} == {"running"}
