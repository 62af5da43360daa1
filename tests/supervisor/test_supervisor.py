"""The supervisor's promises, with tiny children."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from epis.embedded.ground import CannotStart
from epis.processes import Program
from epis.supervisor.child import LONGEST_PAUSE, SETTLED_AFTER, Backoff, Child, Part
from epis.supervisor.supervisor import Supervisor
from tests.polling import wait_for
from tests.supervisor.conftest import Events

MakePart = Callable[..., Part]


def watch_until(supervisor: Supervisor, what: str, look: Callable[[], object]) -> None:
    """Let the supervisor go about its work until something is seen."""

    def look_and_work() -> object:
        supervisor.look()
        return look()

    wait_for(what, look_and_work)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestRestart:
    def test_starts_what_died_again_after_a_pause(self, events: Events, part: MakePart) -> None:
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("web"))
            (first,) = events.pids("web")

            os.kill(first, signal.SIGKILL)
            watch_until(supervisor, "a second life", lambda: len(events.pids("web")) == 2)

        died = events.of("web")[1]
        assert died.startswith(f"died (pid {first}): killed by SIGKILL")
        assert died.endswith("web.log; again in 0.5 s")

    def test_ends_what_the_dead_one_left_behind_first(
        self, events: Events, part: MakePart, tmp_path: Path
    ) -> None:
        note = tmp_path / "pid"
        fork = (
            "import os, time, pathlib\n"
            "if os.fork() == 0:\n"
            f"    pathlib.Path({str(note)!r}).write_text(f'{{os.getpid()}}\\n')\n"
            "time.sleep(600)"
        )
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("counter", fork))
            wait_for("the descendant", lambda: note.exists() and "\n" in note.read_text())
            descendant = int(note.read_text())

            os.kill(events.pids("counter")[0], signal.SIGKILL)
            watch_until(supervisor, "the death", lambda: len(events.of("counter")) == 2)

            assert len(events.pids("counter")) == 1
            wait_for("the end of the descendant", lambda: not is_alive(descendant))

    @pytest.mark.parametrize("kind", [CannotStart, OSError, subprocess.SubprocessError])
    def test_goes_on_when_a_part_cannot_even_be_prepared(
        self, events: Events, part: MakePart, kind: type[Exception]
    ) -> None:
        good = part("postgres")
        troubles = [None, kind("the disk is full"), None]

        def prepare() -> Program:
            trouble = troubles.pop(0)
            if trouble:
                raise trouble
            return good.prepare()

        with Supervisor(events.say) as supervisor:
            supervisor.start(Part(name="postgres", prepare=prepare))
            os.kill(events.pids("postgres")[0], signal.SIGKILL)
            watch_until(supervisor, "a second life", lambda: len(events.pids("postgres")) == 2)

        assert "cannot start: the disk is full; again in 1 s" in events.of("postgres")

    def test_replaces_those_who_follow_the_broker(self, events: Events, part: MakePart) -> None:
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("valkey"))
            supervisor.start(part("counter", follows="valkey"), part("web"))

            os.kill(events.pids("valkey")[0], signal.SIGKILL)
            watch_until(supervisor, "a second life", lambda: len(events.pids("counter")) == 2)

        assert "is restarted, because valkey was" in events.of("counter")
        assert len(events.pids("web")) == 1

    def test_does_not_wait_for_what_a_follower_is_at(
        self, events: Events, part: MakePart, tmp_path: Path
    ) -> None:
        """A worker ends in order when its task has, which may take longer than anyone waits."""
        ready = tmp_path / "ready"
        busy = (
            "import pathlib, signal, time\n"
            "signal.signal(signal.SIGTERM, lambda *args: None)\n"
            f"pathlib.Path({str(ready)!r}).touch()\n"
            "time.sleep(600)"
        )
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("valkey"))
            supervisor.start(part("counter", busy, follows="valkey", stop_seconds=0.1))
            wait_for("the follower at work", ready.exists)

            os.kill(events.pids("valkey")[0], signal.SIGKILL)
            watch_until(supervisor, "a second life", lambda: len(events.pids("counter")) == 2)

            said = events.of("counter")
        assert not any(event.startswith("does not end") for event in said)

    def test_lets_a_follower_end_that_was_asked_to_before(
        self, events: Events, part: MakePart
    ) -> None:
        follower = Child(part("counter"), events.say)
        follower.start()

        follower.end()
        follower.replace()
        while follower.is_running:  # a sleeper ends at once when it is asked
            follower.look()
        follower.look()

        assert len(events.pids("counter")) == 1

    def test_pauses_longer_with_each_early_death_and_forgives_after_a_long_life(self) -> None:
        backoff = Backoff()

        # A part that cannot live dies a thousand times in three hours.
        early = [backoff.after_a_life_of(1) for _ in range(2_000)]
        late = backoff.after_a_life_of(SETTLED_AFTER)

        assert early[:5] == [0.5, 1, 2, 4, 8]
        assert set(early[5:]) == {LONGEST_PAUSE}
        assert late == 0.5


class TestStart:
    def test_says_so_when_a_part_ends_before_it_is_ready(
        self, events: Events, part: MakePart
    ) -> None:
        with (
            pytest.raises(CannotStart, match=r"^web did not start: exit code 3, its log is .*web"),
            Supervisor(events.say) as supervisor,
        ):
            supervisor.start(part("web", "raise SystemExit(3)", is_ready=lambda: False))

    def test_waits_until_a_part_is_ready(self, events: Events, part: MakePart) -> None:
        answers = [True, False, False]
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("web", is_ready=answers.pop))

        assert answers == []

    def test_is_given_up_when_the_end_is_asked_for(self, events: Events, part: MakePart) -> None:
        def never_ready_but_interrupted() -> bool:
            os.kill(os.getpid(), signal.SIGTERM)
            return False

        with Supervisor(events.say) as supervisor:
            supervisor.start(part("web", is_ready=never_ready_but_interrupted))
            pytest.fail("the start went on")

        assert not is_alive(events.pids("web")[0])


class TestStop:
    def test_is_in_reverse_order_and_leaves_nobody(self, events: Events, part: MakePart) -> None:
        names = ["postgres", "valkey", "counter", "background", "web", "schedule"]
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("postgres"))
            supervisor.start(part("valkey"))
            supervisor.start(part("counter"), part("background"))
            supervisor.start(part("web"))
            supervisor.start(part("schedule"))

        ended = [name for name, event in events if event.startswith("ended")]
        assert ended[:2] == ["schedule", "web"]
        assert ended[4:] == ["valkey", "postgres"]
        assert not any(is_alive(events.pids(name)[0]) for name in names)

    @pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_follows_a_signal(
        self, events: Events, part: MakePart, asked_by: signal.Signals
    ) -> None:
        with Supervisor(events.say, lambda: os.kill(os.getpid(), asked_by)) as supervisor:
            supervisor.start(part("web"))
            supervisor.watch()

        assert events.of("web")[-1].startswith("ended")

    def test_lets_a_part_finish_what_it_is_at_though_asked_again(
        self, events: Events, part: MakePart, tmp_path: Path
    ) -> None:
        """The second ctrl-C comes from the child itself, in the middle of its last work."""
        finishing = (
            "import os, pathlib, signal, time\n"
            "def finish(*args):\n"
            "    os.kill(os.getppid(), signal.SIGINT)\n"
            "    time.sleep(0.3)\n"
            "    pathlib.Path('finished').touch()\n"
            "    raise SystemExit\n"
            "signal.signal(signal.SIGTERM, finish)\n"
            "pathlib.Path('ready').touch()\n"
            "time.sleep(600)"
        )
        is_ready = (tmp_path / "ready").exists
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("counter", finishing, is_ready=is_ready))
            os.kill(os.getpid(), signal.SIGINT)
            supervisor.watch()

        assert (tmp_path / "finished").exists()
        assert events.of("counter")[-1].startswith("ended")

    def test_insists_when_a_part_does_not_end_in_its_time(
        self, events: Events, part: MakePart, tmp_path: Path
    ) -> None:
        deaf = (
            "import pathlib, signal, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "pathlib.Path('ready').touch()\n"
            "time.sleep(600)"
        )
        is_ready = (tmp_path / "ready").exists
        with Supervisor(events.say) as supervisor:
            supervisor.start(
                part("web", deaf, is_ready=is_ready, stop_seconds=0.2, last_signal=signal.SIGQUIT)
            )

        (pid,) = events.pids("web")
        assert f"does not end (pid {pid}): SIGQUIT" in events.of("web")
        assert not is_alive(pid)

    def test_is_the_end_also_for_a_part_that_waits_to_be_started_again(
        self, events: Events, part: MakePart
    ) -> None:
        with Supervisor(events.say) as supervisor:
            supervisor.start(part("web"))
            os.kill(events.pids("web")[0], signal.SIGKILL)
            watch_until(supervisor, "the death", lambda: len(events.of("web")) == 2)

        assert len(events.pids("web")) == 1
