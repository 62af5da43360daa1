"""Deletions asked for, worked off by hand, and looked at."""

from apps.users.models import Deletion
from apps.users.operations.deletions import request_deletion
from apps.users.queries import get_deletion
from tasks import cascade
from tests.people import Citizen

GONE = {"todos": 0, "counter": 0, "users": 0}
COUNTED = {"todos": 5, "counter": 6}  # five todos; five increments and their counter


def delete(citizen: Citizen) -> Deletion:
    return request_deletion(user_id=citizen.id)


def work_until_done() -> None:
    while cascade.advance_deletions():
        pass


def counted(deletion: Deletion) -> dict[str, int]:
    return {step.app: step.deleted for step in get_deletion(deletion.id).steps.all()}


def state_of(deletion: Deletion) -> str:
    return get_deletion(deletion.id).state
