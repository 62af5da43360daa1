"""Group commit: fewer writes than callers, and to each what is its own."""

import threading
import time
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
    """What `write` raises concerns nobody who would have been written alone."""

    def test_of_one_has_each_of_its_group_written_alone(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        writer.errors[3] = ValueError("not this one")
        before = start(group_commit.submit, 1)
        writer.wait_until_begun()
        group = [start(group_commit.submit, number) for number in (2, 3, 4)]
        wait_until_gathered(group_commit, 3)
        writer.let(1)
        writer.wait_until_begun()
        behind = [start(group_commit.submit, number) for number in (5, 6)]
        wait_until_gathered(group_commit, 2)
        writer.let(1 + 3 + 1)

        assert before.result() == 10
        assert (group[0].result(), group[2].result()) == (20, 40)
        assert group[1].exception() is writer.errors[3]
        assert [each.result() for each in behind] == [50, 60]
        alone = [numbers for numbers in writer.groups if len(numbers) == 1]
        assert sorted(alone) == [[1], [2], [3], [4]]

    def test_that_kills_the_leader_leaves_nobody_waiting(
        self, writer: Writer, group_commit: GroupCommit[int, int], start: Start
    ) -> None:
        writer.errors[2] = SystemExit("killed")
        start(group_commit.submit, 1)
        writer.wait_until_begun()
        leader = start(group_commit.submit, 2)
        wait_until_gathered(group_commit, 1)
        followers = [start(group_commit.submit, number) for number in (3, 4)]
        wait_until_gathered(group_commit, 3)
        writer.let(2 + 2)

        assert leader.exception() is writer.errors[2]
        assert [each.result() for each in followers] == [30, 40]

    def test_of_one_alone_is_not_tried_twice(
        self, writer: Writer, group_commit: GroupCommit[int, int]
    ) -> None:
        writer.errors[1] = ValueError("no database")
        writer.let(2)

        with pytest.raises(ValueError, match="no database"):
            group_commit.submit(1)

        assert group_commit.submit(2) == 20
        assert writer.groups == [[1], [2]]
