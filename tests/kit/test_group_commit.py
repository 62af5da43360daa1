"""Group commit: fewer writes than callers, and to each what is its own."""

import threading
import time
from concurrent.futures import Future
from functools import partial

import pytest

from kit.group_commit import GATHER_SECONDS, GroupCommit
from tests.conftest import Start
from tests.kit.gathering import wait_until_gathered
from tests.racing import join, race

PATIENCE = 20


class Writer:
    """Writes groups of numbers, each only once it is let; the outcome is ten times the number."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.errors: dict[int, Exception] = {}  # what a write of this number raises
        self.dies_in_write = 0  # with this number, from 1
        self._begun = threading.Semaphore(0)
        self._let = threading.Semaphore(0)

    def __call__(self, numbers: list[int]) -> list[int]:
        self.groups.append(numbers)
        dies = len(self.groups) == self.dies_in_write
        self._begun.release()
        assert self._let.acquire(timeout=PATIENCE), "the write was never let"
        if dies:
            raise SystemExit("killed")
        for number in numbers:
            if number in self.errors:
                raise self.errors[number]
        return [number * 10 for number in numbers]

    def wait_until_begun(self) -> None:
        assert self._begun.acquire(timeout=PATIENCE), "nothing was written"

    def let(self, writes: int) -> None:
        self._let.release(writes)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def group_commit(writer: Writer) -> GroupCommit[int, int]:
    return GroupCommit(writer)


class TestSubmit:
    def test_alone_writes_at_once(
        self, writer: Writer, group_commit: GroupCommit[int, int]
    ) -> None:
        writer.let(2)

        assert [group_commit.submit(1), group_commit.submit(2)] == [10, 20]
        assert writer.groups == [[1], [2]]

    def test_lets_who_comes_during_a_write_share_the_next(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        first = start(group_commit.submit, 0)
        writer.wait_until_begun()
        others = {number: start(group_commit.submit, number) for number in range(1, 21)}
        wait_until_gathered(group_commit, 20)
        writer.let(2)

        assert first.result() == 0
        assert {number: other.result() for number, other in others.items()} == {
            number: number * 10 for number in range(1, 21)
        }
        assert [sorted(group) for group in writer.groups] == [[0], [*range(1, 21)]]

    def test_does_not_wait_for_the_group_behind_its_own(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        first = start(group_commit.submit, 1)
        writer.wait_until_begun()
        second = start(group_commit.submit, 2)
        wait_until_gathered(group_commit, 1)
        writer.let(1)

        assert first.result() == 10
        assert not second.done()
        writer.let(1)
        assert second.result() == 20

    def test_alone_behind_many_does_not_wait_for_as_many(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        start(group_commit.submit, 0)
        writer.wait_until_begun()
        many = [start(group_commit.submit, number) for number in range(1, 6)]
        wait_until_gathered(group_commit, 5)
        writer.let(2 + 200)
        join(many)

        started = time.monotonic()
        for number in range(200):
            group_commit.submit(number)
        took = time.monotonic() - started

        assert len(writer.groups) == 2 + 200
        assert took < 200 * GATHER_SECONDS / 2

    def test_from_many_threads_mixes_nothing_up(self) -> None:
        writes = []

        def write(numbers: list[int]) -> list[int]:
            writes.append(len(numbers))
            return [number * 10 for number in numbers]

        group_commit = GroupCommit(write)

        def send(thread: int) -> None:
            for number in range(thread * 500, thread * 500 + 500):
                assert group_commit.submit(number) == number * 10

        race(*(partial(send, thread) for thread in range(8)))

        assert sum(writes) == 8 * 500


class TestError:
    """What `write` raises concerns whose item it is of, and nobody else."""

    def meet(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> tuple[dict[int, Future[int]], dict[int, Future[int]]]:
        """The group of 2, 3 and 4, whose shared write fails, and the one behind it."""
        before = start(group_commit.submit, 1)
        writer.wait_until_begun()
        concerned = {number: start(group_commit.submit, number) for number in (2, 3, 4)}
        wait_until_gathered(group_commit, 3)
        writer.let(1)
        writer.wait_until_begun()
        behind = {number: start(group_commit.submit, number) for number in (5, 6)}
        wait_until_gathered(group_commit, 2)
        writer.let(1 + 3 + 1)  # the shared one, each alone, and the one behind
        assert before.result() == 10
        return concerned, behind

    def test_is_only_for_whose_item_it_is_of(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        writer.errors[3] = error = ValueError("a bad item")

        concerned, behind = self.meet(writer, group_commit, start)

        assert concerned[3].exception() is error
        assert (concerned[2].result(), concerned[4].result()) == (20, 40)
        assert [each.result() for each in behind.values()] == [50, 60]

    def test_that_kills_the_leader_leaves_nobody_waiting(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        writer.dies_in_write = 2

        concerned, behind = self.meet(writer, group_commit, start)

        died = [number for number, each in concerned.items() if each.exception()]
        assert len(died) == 1
        assert isinstance(concerned[died[0]].exception(), SystemExit)
        assert all(each.result() == number * 10 for number, each in behind.items())
        assert all(
            concerned[number].result() == number * 10 for number in concerned.keys() - set(died)
        )

    def test_before_the_write_leaves_a_group_to_join(
        self,
        writer: Writer,
        group_commit: GroupCommit[int, int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The leader is interrupted while it waits for the others."""
        with monkeypatch.context() as patched:
            patched.setattr(group_commit._gathering.complete, "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                group_commit.submit(1)
        writer.let(1)

        assert group_commit.submit(2) == 20

    def test_of_one_alone_is_not_tried_twice_and_leaves_the_next_alone(
        self, writer: Writer, group_commit: GroupCommit[int, int]
    ) -> None:
        writer.errors[1] = ValueError("no database")
        writer.let(2)

        with pytest.raises(ValueError, match="no database"):
            group_commit.submit(1)

        assert group_commit.submit(2) == 20
        assert writer.groups == [[1], [2]]
