"""A damaged counter, `manage.py audit --repair`, and who answers it."""

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from apps.counter.models import Counter


class Terminal:
    """A person, who does something `meanwhile` and then types an answer."""

    def __init__(self, answer: str, meanwhile: Callable[[], object]) -> None:
        self._answer = answer
        self._meanwhile = meanwhile

    def isatty(self) -> bool:
        return True

    def readline(self, *size: int) -> str:
        self._meanwhile()
        return self._answer


Answering = Callable[..., None]


def damage(**wrong: object) -> None:
    assert Counter.objects.update(**wrong) == 1


def repair(*options: str) -> str:
    """Runs a repair that leaves something to be desired, and returns how it ends."""
    with pytest.raises(CommandError) as stopped:
        call_command("audit", "--repair", *options)
    assert stopped.value.returncode == 1
    return str(stopped.value)
