"""What follows a commit: the commit of its own database, and no other."""

from contextlib import suppress

import pytest
from django.db import connections, transaction

from apps.todos.models import FeedCursor
from kit.transactions import after_commit, durable, in_one_statement

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


class TestAtOnce:
    def test_is_committed_without_an_end(self) -> None:
        in_one_statement(
            "todos",
            "INSERT INTO todos_feedcursor (id, position) VALUES (1, %(at)s) RETURNING id",
            {"at": 7},
        )

        connections["todos"].close()
        assert FeedCursor.objects.get().position == 7

    def test_is_refused_inside_a_transaction_that_may_still_be_rolled_back(self) -> None:
        with durable("todos"), pytest.raises(RuntimeError, match="another transaction"):
            in_one_statement("todos", "SELECT 1", {})

    def test_does_not_mind_one_of_another_database(self) -> None:
        with durable("default"):
            assert in_one_statement("todos", "SELECT %(one)s", {"one": 1}) == (1,)


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
