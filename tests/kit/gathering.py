"""Making callers of a group commit meet in one group, so that it is no matter of luck."""

from typing import Any

from kit.group_commit import GroupCommit
from tests.polling import wait_for


def wait_until_gathered(group_commit: GroupCommit[Any, Any], number: int) -> None:
    """Wait until so many have joined the group behind the one that is being written."""
    wait_for(
        f"{number} waiting in the next group",
        lambda: len(group_commit._gathering.items) == number,
    )
