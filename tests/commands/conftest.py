"""A person with a counter, and one at the terminal."""

from collections.abc import Callable

import pytest

from tests.commands.repairing import Answering, Terminal
from tests.people import Citizen, follow_feed, settle


@pytest.fixture
def citizen() -> Citizen:
    """With a counter at 5, of five increments by 1."""
    citizen = settle("someone")
    follow_feed()
    return citizen


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Puts a person with this answer at the terminal."""

    def put(answer: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        monkeypatch.setattr("sys.stdin", Terminal(answer, meanwhile))

    return put
