"""Increments that are accepted, and of which nobody is told."""

from unittest.mock import patch
from uuid import UUID

from apps.counter import accepting
from kit.directory import Viewer
from kit.ids import new_id


def accept_unheard(counter_id: UUID, number: int) -> None:
    """As if the doorbells' messages had been lost."""
    staff = Viewer(new_id(), is_staff=True)
    increments = [(1, f"unheard-{each}") for each in range(number)]
    with patch.object(accepting, "_call_consumer"):
        accepting.accept_increments(counter_id=counter_id, viewer=staff, increments=increments)
