"""What follows a commit: the commit of its own database, and no other."""

from contextlib import suppress

import pytest
from django.db import transaction

from kit.transactions import after_commit, durable

pytestmark = pytest.mark.django_db(databases=["default", "todos"], transaction=True)


class Abandoned(Exception):
    """What makes a transaction roll back."""


class TestAfterCommit:
    def test_waits_for_the_commit(self) -> None:
        heard: list[str] = []

        with durable("todos"):
            after_commit("todos", lambda: heard.append("todos"))
            assert heard == []

        assert heard == ["todos"]

    def test_never_comes_after_a_rollback(self) -> None:
        heard: list[str] = []

        with suppress(Abandoned), durable("todos"):
            after_commit("todos", lambda: heard.append("todos"))
            raise Abandoned

        assert heard == []

    def test_waits_for_no_other_database(self) -> None:
        heard: list[str] = []

        with durable("default"):
            with durable("todos"):
                after_commit("todos", lambda: heard.append("todos"))
                after_commit("default", lambda: heard.append("default"))
                assert heard == []
            assert heard == ["todos"]
        assert heard == ["todos", "default"]

    def test_keeps_what_it_raises_to_itself(self) -> None:
        heard: list[str] = []

        with durable("todos"):
            after_commit("todos", lambda: 1 / 0)
            after_commit("todos", lambda: heard.append("todos"))

        assert heard == ["todos"]


class TestBareOnCommit:
    """Why the form that names no database is forbidden."""

    def test_fires_at_once_and_stays_fired_after_a_rollback(self) -> None:
        heard: list[str] = []

        with suppress(Abandoned), durable("todos"):
            transaction.on_commit(lambda: heard.append("todos"))  # noqa: TID251
            assert heard == ["todos"]
            raise Abandoned

        assert heard == ["todos"]


class TestDurable:
    def test_refuses_to_be_part_of_another(self) -> None:
        with pytest.raises(RuntimeError, match="durable"), durable("todos"), durable("todos"):
            pass
