"""Kept connections to PostgreSQL: used again without a question, replaced when they are gone."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from epis import wsgi
from epis.postgresql.base import DatabaseWrapper
from tests.polling import wait_for

pytestmark = pytest.mark.django_db(databases=["counter"], transaction=True)


@pytest.fixture
def connection() -> Iterator[BaseDatabaseWrapper]:
    """The counter's, with the server's end of it in another session's hands."""
    kept = connections["counter"]
    kept.ensure_connection()
    yield kept
    kept.close()


def session_of(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [session] = cursor.fetchone()
    return int(session)


def end(session: int) -> None:
    def from_elsewhere() -> None:
        with connections["counter"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [session])
        connections["counter"].close()

    thread = threading.Thread(target=from_elsewhere)
    thread.start()
    thread.join()


def statements_of(connection: BaseDatabaseWrapper) -> str:
    """The last statement that the server got from this connection."""
    with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
        row = other.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s",
            [connection.connection.info.backend_pid],
        ).fetchone()
    assert row is not None
    return str(row[0])


class TestKeptConnection:
    def test_is_used_for_the_next_request_without_a_question(
        self, connection: BaseDatabaseWrapper
    ) -> None:
        session = session_of(connection)

        close_old_connections()
        connection.close_if_health_check_failed()

        assert "pg_backend_pid" in statements_of(connection)  # nothing has come since
        assert session_of(connection) == session

    @pytest.mark.parametrize("is_looked_at", [True, False])
    def test_is_replaced_once_the_server_has_ended_it(
        self, connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch, is_looked_at: bool
    ) -> None:
        if not is_looked_at:
            monkeypatch.setattr(DatabaseWrapper, "is_usable", lambda self: True)
        session = session_of(connection)
        end(session)

        close_old_connections()
        is_replaced = self.answers(connection)

        assert is_replaced is is_looked_at

    def test_is_asked_behind_an_error(
        self, connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection.errors_occurred = True

        close_old_connections()

        wait_for("the question", lambda: statements_of(connection) == "SELECT 1")
        assert not connection.errors_occurred

    def test_in_the_middle_of_a_statement_is_not_used_for_the_next(
        self, connection: BaseDatabaseWrapper
    ) -> None:
        """As where a time limit broke off who was waiting for it."""
        session = session_of(connection)
        connection.connection.pgconn.send_query(b"SELECT pg_sleep(60)")

        close_old_connections()
        next_one = session_of(connection)
        end(session)

        assert next_one != session

    def test_closed_by_whoever_else_is_replaced(self, connection: BaseDatabaseWrapper) -> None:
        session = session_of(connection)
        connection.connection.close()

        close_old_connections()

        assert session_of(connection) != session

    def answers(self, connection: Any) -> bool:
        try:
            return session_of(connection) > 0
        except Exception:
            return False


def test_one_of_the_web_server_ends_a_statement_that_takes_too_long(
    connection: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "STATEMENT_SECONDS", 0.1)
    connection.close()

    with connection.cursor() as cursor, pytest.raises(OperationalError, match="timeout"):
        cursor.execute("SELECT pg_sleep(5)")
