"""The faults: what each does to a running epis, and how it is taken back."""

import random
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import psutil

from faults import processes
from faults.instance import Instance, worker
from faults.processes import BACKGROUND_CHILD, CONSUMER, CONSUMER_CHILD, WEB_WORKER, Family

# Of a process that is killed again and again: time enough to have taken up its work.
SHORTEST_LIFE = 0.15
LOOK_EVERY = 0.1  # for who is there again: a look costs some milliseconds
TWINS = {CONSUMER: 0, CONSUMER_CHILD: 1}  # the control's worker, and its child, suffer the same


class Fault:
    """One fault. It lasts `seconds`.

    `killed` are the processes of epis that it has killed, `gone` all that go with them, and `parts`
    what has to be there again behind it. `hit` is False where it has found nothing to strike at.
    """

    def __init__(self, kind: str, seconds: float = 0.0) -> None:
        self.kind = kind
        self.seconds = seconds
        self.killed: set[psutil.Process] = set()
        self.gone: set[psutil.Process] = set()
        self.parts: set[str] = set()
        self.hit = True

    def begin(self, epis: Instance) -> None:
        """Strike."""

    def go_on(self, epis: Instance) -> None:
        """Called again and again while it lasts."""

    def end(self, epis: Instance) -> None:
        """Take it back."""

    def kill(self, victims: Sequence[psutil.Process], family: Family) -> None:
        """SIGKILL; each counts once, however often it is struck while it dies."""
        going = processes.going_with(victims, family)
        self.killed |= killed_of(victims)
        self.hit = bool(self.killed)
        self.lose(going, family)

    def lose(self, going: set[psutil.Process], family: Family) -> None:
        """These go, and their parts have to be there again."""
        self.gone |= going
        self.parts |= {part for part, found in family.items() if not going.isdisjoint(found)}


def killed_of(victims: Iterable[psutil.Process]) -> set[psutil.Process]:
    """SIGKILL; those of them who were alive."""
    killed = set()
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            if victim.status() != psutil.STATUS_ZOMBIE:
                victim.kill()
                killed.add(victim)
    return killed


def twins_of(part: str, epis: Instance) -> list[psutil.Process]:
    """The process of the control's worker to which the same happens."""
    return epis.beside("control")[TWINS[part] :][:1] if part in TWINS else []


class Kill(Fault):
    """SIGKILL of one process of a part."""

    def __init__(self, part: str, rng: random.Random) -> None:
        super().__init__(f"kill {part}")
        self._part = part
        self._rng = rng

    def begin(self, epis: Instance) -> None:
        killed_of(twins_of(self._part, epis))
        family = epis.family()
        victims = family.get(self._part)
        self.kill([self._rng.choice(victims)] if victims else [], family)


class Freeze(Fault):
    """SIGSTOP of one process of a part, and SIGCONT."""

    def __init__(self, part: str, rng: random.Random, seconds: float) -> None:
        super().__init__(f"freeze {part}", seconds)
        self._part = part
        self._rng = rng
        self._frozen: list[psutil.Process] = []

    def victims(self, epis: Instance) -> list[psutil.Process]:
        found = epis.family().get(self._part)
        return [self._rng.choice(found)] if found else []

    def begin(self, epis: Instance) -> None:
        victims = self.victims(epis)
        self.hit = bool(victims)
        self._frozen = [*victims, *twins_of(self._part, epis)]
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def end(self, epis: Instance) -> None:
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()


class SlowDatabase(Freeze):
    """SIGSTOP of a share of the back ends of one database, and SIGCONT.

    Whoever has one of them waits in the middle of a request; the others go on.
    """

    def __init__(self, database: str, share: float, rng: random.Random, seconds: float) -> None:
        super().__init__(f"back ends of {database}", rng, seconds)
        self._database = database
        self._share = share

    def victims(self, epis: Instance) -> list[psutil.Process]:
        back_ends = epis.family().get(processes.BACK_END, ())
        return [each for each in back_ends if self._is_meant(each)]

    def _is_meant(self, back_end: psutil.Process) -> bool:
        try:
            its_own = self._database in " ".join(back_end.cmdline())
        except psutil.Error:
            return False  # gone meanwhile
        return its_own and self._rng.random() < self._share


class Hail(Fault):
    """SIGKILL of every process of some parts, and of whatever takes their place, for a while."""

    def __init__(self, kind: str, parts: tuple[str, ...], seconds: float) -> None:
        super().__init__(kind, seconds)
        self._parts = parts
        self._seen: dict[psutil.Process, float] = {}
        self._next_look = 0.0

    def go_on(self, epis: Instance) -> None:
        now = monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY
        family = epis.family()
        for part in self._parts:
            victims = [each for each in family.get(part, ()) if self._is_old_enough(each, now)]
            self.kill(victims, family)
            killed_of(each for each in twins_of(part, epis) if self._is_old_enough(each, now))

    def _is_old_enough(self, process: psutil.Process, now: float) -> bool:
        return now - self._seen.setdefault(process, now) >= SHORTEST_LIFE


class PowerCut(Fault):
    """Every process of epis is killed at once, its supervisor and its servers too."""

    def __init__(self, kind: str = "kill everything at once") -> None:
        super().__init__(kind)

    def begin(self, epis: Instance) -> None:
        killed_of(filter(self.is_hit, epis.beside("control")))
        family = epis.family()
        parts = (part for part in processes.PARTS if part != processes.BACK_END)
        everybody = [process for part in parts for process in family.get(part, ())]
        self.kill(list(filter(self.is_hit, everybody)), family)

    def is_hit(self, process: psutil.Process) -> bool:
        return True


class Lottery(PowerCut):
    """Every process of epis is killed, or is not, with even chances."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__("kill half of everything at once")
        self._rng = rng

    def is_hit(self, process: psutil.Process) -> bool:
        return self._rng.random() < 0.5


class Flush(Fault):
    """The broker forgets all that it has."""

    def __init__(self) -> None:
        super().__init__("flush the broker")

    def begin(self, epis: Instance) -> None:
        self.hit = False
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(str(epis.locations.valkey_socket))
            client.sendall(b"FLUSHALL\r\n")
            self.hit = client.recv(16).startswith(b"+OK")


class RestartPostgres(Fault):
    """PostgreSQL sends everybody away and ends; the supervisor starts it again."""

    def __init__(self) -> None:
        super().__init__("restart postgres")

    def begin(self, epis: Instance) -> None:
        family = epis.family()
        servers = family.get(processes.POSTGRES, ())
        self.hit = bool(servers)
        self.lose(processes.going_with(servers, family), family)
        for server in servers:
            with suppress(psutil.NoSuchProcess):
                server.send_signal(signal.SIGINT)


class FullDisk(Fault):
    """No byte is left for the broker's file."""

    def __init__(self, seconds: float) -> None:
        super().__init__("fill the broker's disk", seconds)

    def begin(self, epis: Instance) -> None:
        self.hit = epis.disk.is_mounted
        epis.disk.fill()

    def end(self, epis: Instance) -> None:
        epis.disk.empty()


class ClockJump(Fault):
    """The clock of all of epis but its servers jumps, and a while later it jumps back."""

    def __init__(self, offset: int, seconds: float) -> None:
        super().__init__(f"clock {offset:+} s", seconds)
        self._offset = offset

    def begin(self, epis: Instance) -> None:
        self.hit = epis.clock.is_put_in
        epis.clock.set(self._offset)

    def end(self, epis: Instance) -> None:
        epis.clock.set(0)


class SecondConsumer(Fault):
    """Another consumer works on the same lane, and both are called all the time."""

    def __init__(self, seconds: float) -> None:
        super().__init__("a second consumer", seconds)
        # Several of them may come at once.
        self._names = f"second-{id(self)}", f"ringing-{id(self)}"

    def begin(self, epis: Instance) -> None:
        second, ringing = self._names
        epis.start_beside(second, *worker("epis", "counter"))
        epis.start_beside(ringing, "-m", "faults.ringing")

    def end(self, epis: Instance) -> None:
        for name in reversed(self._names):
            epis.end_beside(name)


class Cut(Fault):
    """Connections between two parts are cut, refused for a while, or held up without a word."""

    def __init__(self, how: str, proxy: str, seconds: float = 0.0) -> None:
        super().__init__(f"{how} connections to the {proxy}", seconds)
        self._how = how
        self._proxy = proxy

    def begin(self, epis: Instance) -> None:
        proxy = epis.proxies[self._proxy]
        if self._how == "cut":
            proxy.cut()
        elif self._how == "refuse":
            proxy.refuse(True)
        else:
            proxy.hold(True)

    def end(self, epis: Instance) -> None:
        proxy = epis.proxies[self._proxy]
        proxy.refuse(False)
        proxy.hold(False)


@dataclass(frozen=True)
class Weather:
    """What is thrown in a round, kinds with their weights, and at what kind of epis."""

    kinds: tuple[tuple[float, Callable[[random.Random], Fault]], ...]
    proxied: bool = False
    lanes: int = 1
    own_clock: bool = False

    def draw(self, rng: random.Random) -> Fault:
        weights = [weight for weight, _ in self.kinds]
        (make,) = rng.choices([make for _, make in self.kinds], weights)
        return make(rng)


def _kills(part: str) -> Callable[[random.Random], Fault]:
    return lambda rng: Kill(part, rng)


def _freezes(part: str) -> Callable[[random.Random], Fault]:
    # Longer than the ten seconds in which the server, and the broker's clients, lose patience.
    return lambda rng: Freeze(part, rng, rng.choice([1.0, 3.0, 12.0]))


def _freezes_long(part: str) -> Callable[[random.Random], Fault]:
    return lambda rng: Freeze(part, rng, 95.0)


def _cuts(how: str, proxy: str) -> Callable[[random.Random], Fault]:
    return lambda rng: Cut(how, proxy, 0.0 if how == "cut" else rng.choice([1.0, 3.0, 12.0]))


KILLS = tuple((1.0, _kills(part)) for part in processes.PARTS)
FREEZES = tuple((0.25, _freezes(part)) for part in processes.PARTS)
OTHERS: tuple[tuple[float, Callable[[random.Random], Fault]], ...] = (
    (1.0, lambda rng: Flush()),
    (0.7, lambda rng: PowerCut()),
    (0.7, lambda rng: RestartPostgres()),
    (0.7, lambda rng: Hail("the broker down", (processes.BROKER,), rng.uniform(2, 6))),
    (0.3, lambda rng: SlowDatabase("epis_todos", 0.25, rng, rng.uniform(2, 6))),
    (0.3, lambda rng: SlowDatabase("epis_counter", 0.25, rng, rng.uniform(2, 6))),
    (0.5, lambda rng: FullDisk(rng.uniform(2, 5))),
    (0.7, lambda rng: SecondConsumer(rng.uniform(6, 12))),
)
CUTS = tuple(
    (0.6, _cuts(how, proxy))
    for how in ("cut", "refuse", "hold")
    for proxy in ("web", "database", "broker")
)
JUMPS: tuple[tuple[float, Callable[[random.Random], Fault]], ...] = (
    (5.0, lambda rng: ClockJump(rng.choice([3600, -3600]), rng.uniform(1, 8))),
)
CHILDREN = (CONSUMER_CHILD, BACKGROUND_CHILD, WEB_WORKER)
HAILS: tuple[tuple[float, Callable[[random.Random], Fault]], ...] = (
    (6.0, lambda rng: Hail("hail on workers' children", CHILDREN[:2], rng.uniform(8, 20))),
    (1.0, lambda rng: Hail("hail on all children", CHILDREN, rng.uniform(8, 20))),
)
# As many kills, of all kinds, as there can be in a short time.
STORM: tuple[tuple[float, Callable[[random.Random], Fault]], ...] = (
    (3.0, lambda rng: Lottery(rng)),
    (1.5, lambda rng: PowerCut()),
    (2.0, lambda rng: Hail("hail on workers' children", CHILDREN[:2], rng.uniform(8, 12))),
    (1.0, lambda rng: Hail("hail on all children", CHILDREN, rng.uniform(8, 12))),
)

WEATHERS = {
    "kills": Weather(KILLS),
    "all": Weather((*KILLS, *FREEZES, *OTHERS)),
    "cuts": Weather((*KILLS, *FREEZES, *OTHERS, *CUTS), proxied=True),
    "hail": Weather((*HAILS, *((0.04, make) for _, make in (*KILLS, *OTHERS))), lanes=4),
    "storm": Weather((*STORM, *((0.1, make) for _, make in KILLS)), lanes=4),
    # Longer than Celery lets a task take.
    "long freeze": Weather(
        tuple((1.0, _freezes_long(part)) for part in (CONSUMER_CHILD, BACKGROUND_CHILD))
    ),
    "clocks": Weather((*KILLS, *JUMPS), own_clock=True),
    # For a mutant each:
    "none": Weather(((1.0, lambda rng: Fault("nothing", 1.0)),)),
    "slow todos": Weather(((1.0, lambda rng: SlowDatabase("epis_todos", 0.4, rng, 7.0)),)),
    "hail on one part": Weather(
        ((1.0, lambda rng: Hail("hail on the background", (BACKGROUND_CHILD,), 8.0)),)
    ),
    "two consumers": Weather(((1.0, lambda rng: SecondConsumer(20.0)),)),
}
# One after the other, and from the first again.
FORECAST = ("all", "cuts", "hail", "kills", "clocks")
