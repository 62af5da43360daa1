"""How many threads may wait for bodies that do not arrive."""

import time

import pytest

from epis import wsgi
from epis.wsgi import Readers
from tests.conftest import Start
from tests.polling import wait_for


class TestReaders:
    def test_are_let_in_up_to_so_many(self) -> None:
        readers = Readers(2)

        assert [readers.enter() for _ in range(3)] == [True, True, False]

    def test_wait_for_a_place_while_others_come_to_an_end(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wsgi, "PATIENCE_SECONDS", 20)
        readers = Readers(1)
        readers.enter()
        waiting = start(readers.enter)

        readers.leave()

        wait_for("a place", waiting.done)
        assert waiting.result() is True

    def test_wait_for_a_place_also_when_it_was_quiet_for_long(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        readers = Readers(1)
        monkeypatch.setattr(wsgi, "PATIENCE_SECONDS", 20)
        monkeypatch.setattr(readers, "_moved_at", time.monotonic() - 60)
        readers.enter()
        waiting = start(readers.enter)
        time.sleep(0.2)

        readers.leave()

        wait_for("a place", waiting.done)
        assert waiting.result() is True

    def test_are_refused_at_once_where_none_has_come_or_gone_of_late(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        readers = Readers(1)
        readers.enter()
        monkeypatch.setattr(wsgi, "PATIENCE_SECONDS", 0.01)
        assert not readers.enter()
        monkeypatch.setattr(readers, "_moved_at", time.monotonic() - 60)
        monkeypatch.setattr(wsgi, "PATIENCE_SECONDS", 30)

        began = time.monotonic()

        assert not readers.enter()
        assert time.monotonic() - began < 5
