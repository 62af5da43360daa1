"""The main job on a running epis: what it promises, from the outside."""

import logging
import statistics
import threading
import time
from collections import Counter, defaultdict
from functools import partial
from itertools import chain
from typing import Any

import psutil
import pytest

from tests.acceptance.running import Account, Answer, Running
from tests.polling import wait_for
from tests.racing import in_thread, race

pytestmark = pytest.mark.timeout(240)

seen = logging.getLogger("acceptance")


def new_counter(account: Account, name: str) -> str:
    answer = account.call("POST", "/api/counters/", {"name": name})
    assert answer.status == 201, answer
    return f"/api/counters/{answer.body['id']}/"


def increment(account: Account, counter: str, key: str) -> Answer:
    return account.call("POST", f"{counter}increments/", {"key": key})


def value(account: Account, counter: str) -> int:
    answer = account.call("GET", counter)
    assert answer.status == 200, answer
    return int(answer.body["value"])


def all_pages(account: Account, path: str) -> list[Any]:
    rows: list[Any] = []
    while path:
        page = account.call("GET", path).body
        rows += page["results"]
        path = (page["next"] or "").partition(f":{account.epis.port}")[2]
    return rows


class TestCounting:
    def test_counts_each_key_once_whoever_sends_it_and_how_often(self, epis: Running) -> None:
        """500 increments from 20 threads, half of them sent twice."""
        account = epis.register("counting")
        counter = new_counter(account, "tickets")
        first_receipts: dict[str, str] = {}
        repeats: dict[str, Answer] = {}

        def send(thread: int) -> None:
            for number in range(25):
                key = f"{thread}-{number}"
                first_receipts[key] = increment(account, counter, key).body["id"]
                if (thread + number) % 2:  # half of all
                    repeats[key] = increment(account, counter, key)

        started = time.monotonic()
        race(*[partial(send, thread) for thread in range(20)])
        accepted = time.monotonic()
        wait_for("the value", lambda: value(account, counter) == 500)
        applied = time.monotonic()
        seen.info(
            "750 requests in %.2f s; all applied %.2f s later",
            accepted - started,
            applied - accepted,
        )

        receipts = all_pages(account, f"{counter}increments/?page_size=200")
        assert sorted(receipt["result"] for receipt in receipts) == list(range(1, 501))
        assert {receipt["key"]: receipt["id"] for receipt in receipts} == first_receipts
        assert len(repeats) == 250
        assert {answer.status for answer in repeats.values()} == {200}
        assert all(repeats[key].body["id"] == first_receipts[key] for key in repeats)

    def test_applies_everything_though_the_broker_is_emptied_and_the_workers_killed(
        self, epis: Running
    ) -> None:
        account = epis.register("bereft")
        counter = new_counter(account, "survivors")
        accepted: list[str] = []
        over = threading.Event()

        def send(thread: int) -> None:
            number = 0
            while not over.is_set():
                key = f"{thread}-{number}"
                assert increment(account, counter, key).status == 202
                accepted.append(key)
                number += 1

        def harm() -> None:
            try:
                for _ in range(3):
                    flush(epis)
                    assert epis.kill("--queues counter")
                    assert epis.kill("--queues background")
                    workers_are_back(epis)
            finally:
                over.set()

        race(harm, *[partial(send, thread) for thread in range(4)])
        back = time.monotonic()
        wait_for("all applied", lambda: value(account, counter) == len(accepted), seconds=15)
        seen.info("%d accepted, applied %.2f s later", len(accepted), time.monotonic() - back)

        receipts = all_pages(account, f"{counter}increments/?page_size=200")
        assert sorted(row["result"] for row in receipts) == list(range(1, len(accepted) + 1))

    def test_accepts_without_the_broker_and_applies_when_it_is_back(self, epis: Running) -> None:
        account = epis.register("unheard")
        counter = new_counter(account, "patience")
        times = []

        with epis.kept_dead("valkey-server"):
            wait_for("the broker dead", lambda: not epis.processes("valkey-server"))
            for number in range(100):
                started = time.monotonic()
                assert increment(account, counter, f"{number}").status == 202
                times.append(time.monotonic() - started)
        median = statistics.median(times)
        back = time.monotonic()
        wait_for("all applied", lambda: value(account, counter) == 100, seconds=40)
        seen.info(
            "without the broker: median %.1f ms, worst %.1f ms; applied %.2f s after it was back",
            median * 1000,
            max(times) * 1000,
            time.monotonic() - back,
        )

        assert median < 0.1

    def test_counts_each_key_once_through_kills_of_postgresql(self, epis: Running) -> None:
        """Of a group whose commit was under way nobody knows whether it was: all ask again."""
        account = epis.register("restarted")
        counter = new_counter(account, "unbroken")
        answers: dict[str, list[int]] = defaultdict(list)
        over = threading.Event()

        def send(thread: int) -> None:
            number = 0
            while not over.is_set():
                key = f"{thread}-{number}"
                while True:
                    answers[key].append(increment(account, counter, key).status)
                    if answers[key][-1] != 503:
                        break
                    time.sleep(0.05)
                number += 1

        def harm() -> None:
            try:
                for _ in range(2):
                    # A child that it has just forked has the same command line for a moment.
                    running = epis.processes("bin/postgres -D")
                    min(running, key=psutil.Process.create_time).kill()
                    before = len(answers)
                    wait_for("increments again", lambda: len(answers) > before + 50, seconds=30)  # noqa: B023
            finally:
                over.set()

        race(harm, *[partial(send, thread) for thread in range(8)])
        wait_for("all applied", lambda: value(account, counter) == len(answers), seconds=30)
        seen.info("%d keys; %s", len(answers), Counter(chain.from_iterable(answers.values())))

        assert {503} < set(chain.from_iterable(answers.values())) <= {200, 202, 503}
        receipts = all_pages(account, f"{counter}increments/?page_size=200")
        assert sorted(row["key"] for row in receipts) == sorted(answers)
        assert sorted(row["result"] for row in receipts) == list(range(1, len(answers) + 1))


class TestDeleting:
    def test_deletes_one_account_and_touches_no_other(self, epis: Running) -> None:
        leaver, stayer = epis.register("leaver"), epis.register("stayer")
        for number in range(10):
            stayer.call("POST", "/api/todos/", {"title": f"mine {number}"})

        def write() -> None:
            for number in range(500):
                answer = leaver.call("POST", "/api/todos/", {"title": f"todo {number}"})
                assert answer.status == 201, answer

        race(*[write] * 4)
        creations: list[int] = []
        over = threading.Event()

        def keep_creating() -> None:
            while not over.is_set():
                creations.append(leaver.call("POST", "/api/todos/", {"title": "late"}).status)

        creating = in_thread(keep_creating)
        progress: list[float] = []

        def done() -> Any:
            now = epis.call("GET", deletion.headers["Location"]).body
            progress.append(now["progress"])
            return now if now["state"] == "done" else None

        started = time.monotonic()
        try:
            deletion = leaver.call("DELETE", f"/api/users/{leaver.id}/")
            answered = time.monotonic() - started
            progress.append(deletion.body["progress"])
            refused = epis.sign_in("leaver").status
            certificate = wait_for("the certificate", done, seconds=30)
        finally:
            over.set()
            creating.result(30)
        seen.info(
            "202 after %.0f ms, done after %.2f s; %d creations meanwhile: %s; progress %s",
            answered * 1000,
            time.monotonic() - started,
            len(creations),
            {status: creations.count(status) for status in set(creations)},
            sorted(set(progress)),
        )

        assert deletion.status == 202
        assert refused == 401
        assert leaver.call("GET", "/api/users/me/").status == 401
        assert set(creations) <= {201, 401, 409}
        assert certificate["certificate"]["orphans"] == 0
        late = creations.count(201)
        assert certificate["certificate"]["deleted"] == {"todos": 2000 + late, "counter": 0}
        assert progress == sorted(progress)
        assert len(stayer.call("GET", "/api/todos/?username=stayer").body["results"]) == 10
        audit = epis.manage("audit")
        assert audit.returncode == 0, audit.stderr


class TestRenaming:
    def test_shows_on_the_todos_within_five_seconds(self, epis: Running) -> None:
        account = epis.register("before")
        account.call("POST", "/api/todos/", {"title": "keep"})

        renamed = account.call("PATCH", f"/api/users/{account.id}/", {"username": "after"})
        started = time.monotonic()
        found = wait_for(
            "the todo under the new name",
            lambda: account.call("GET", "/api/todos/?username=after").body["results"],
            seconds=5,
        )
        seen.info("the new name was there after %.2f s", time.monotonic() - started)

        assert renamed.status == 200
        assert found[0]["owner"] == {"id": account.id, "username": "after"}


def flush(epis: Running) -> None:
    """Empty the broker, as an operator's FLUSHALL would."""
    import redis

    from epis.embedded.locations import Locations

    sockets = Locations(epis.data).broker_url.removeprefix("redis+socket://").partition("?")[0]
    with redis.Redis(unix_socket_path=sockets) as broker:
        broker.flushall()


def workers_are_back(epis: Running) -> None:
    for queue in ("counter", "background"):
        wait_for(f"the {queue} worker", partial(epis.processes, f"--queues {queue}"))
