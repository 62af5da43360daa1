"""Deletions of which nothing was heard for long: paused, counted, or with everything down."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.users.models import DeletionStep
from apps.users.operations.deletions import pause_deletion, resume_deletion
from tasks import cascade
from tests.cascade.deleting import COUNTED, counted, delete, state_of, work_until_done
from tests.people import EVERYWHERE, settle

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


@pytest.mark.usefixtures("small_chunks")
class TestLongSilence:
    def test_ends_no_deletion(self) -> None:
        deletion, look = delete(settle("leaver")), cascade.Look()
        for _ in range(3):
            look.work_a_round()
        long_ago = timezone.now() - timedelta(days=3)
        silent = DeletionStep.objects.filter(deletion=deletion, rate__isnull=False)
        assert silent.update(reported_at=long_ago) > 0

        work_until_done()

        assert (state_of(deletion), counted(deletion)) == ("done", COUNTED)

    def test_is_forgotten_when_a_paused_one_is_resumed(self) -> None:
        deletion, look = delete(settle("leaver")), cascade.Look()
        look.work_a_round()
        pause_deletion(deletion_id=deletion.id)
        steps = DeletionStep.objects.filter(deletion=deletion)
        steps.update(reported_at=timezone.now() - timedelta(hours=3))

        resumed_at = timezone.now()
        resume_deletion(deletion_id=deletion.id)

        assert all(step.reported_at >= resumed_at for step in steps)
