"""Certificates, checked again: what a deletion says it did against what the databases show.

Reads every database, at any later time, and writes only when a certificate has held.
"""

from collections.abc import Collection, Iterator
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.users.models import Deletion, User
from kit.holdings import Holdings, registered
from kit.transactions import durable

ALIAS = "default"


def verify_deletions(*, deletion_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """What does not hold of these certificates; of one that holds nothing, and it is dated anew.

    Holds: there is no such account, no app has a row of it, each has its tombstone, and each
    counted as many rows as the certificate says. The last only of the latest deletion of a
    user, for another one has counted on. Ids of deletions that are not done are passed over.
    """
    later = Deletion.objects.filter(
        user_id=OuterRef("user_id"), requested_at__gt=OuterRef("requested_at")
    ).exclude(state=Deletion.State.CANCELLED)
    done = Deletion.objects.filter(id__in=deletion_ids, state=Deletion.State.DONE)
    certificates = list(done.annotate(superseded=Exists(later)).prefetch_related("steps"))
    user_ids = [each.user_id for each in certificates]
    accounts = set(User.objects.filter(id__in=user_ids).values_list("id", flat=True))
    faults: dict[UUID, list[str]] = {
        each.id: ["the account is there"] if each.user_id in accounts else []
        for each in certificates
    }
    for held in registered():
        for deletion_id, fault in _faults_in(held, certificates):
            faults[deletion_id].append(fault)
    held_good = [deletion_id for deletion_id, found in faults.items() if not found]
    with durable(ALIAS):
        Deletion.objects.filter(id__in=held_good).update(verified_at=timezone.now())
    return faults


def _faults_in(held: Holdings, certificates: Collection[Deletion]) -> Iterator[tuple[UUID, str]]:
    user_ids = [each.user_id for each in certificates]
    left = held.rows_left(user_ids)
    lost = held.entombed(user_ids)
    for each in certificates:
        stated = {step.app: step.deleted for step in each.steps.all()}.get(held.app)
        if left[each.user_id]:
            yield each.id, f"{held.app}: {left[each.user_id]} row(s) are there"
        if stated is None:
            continue  # an app that came later
        if each.user_id not in lost:
            yield each.id, f"{held.app}: the tombstone is missing"
        elif not getattr(each, "superseded", False) and lost[each.user_id] != stated:
            yield (
                each.id,
                f"{held.app}: counted {lost[each.user_id]} row(s), the certificate says {stated}",
            )
