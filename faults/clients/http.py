"""How a client speaks: one connection, kept; every attempt goes into the history."""

import http.client
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from faults.history import Exchange, History

HOST = "127.0.0.1"
REQUEST_SECONDS = 15.0
PATIENCE_SECONDS = 90.0  # for one wish, however often it is sent
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # before it is sent again
PASSWORD = "a long pass phrase"  # noqa: S105 - of accounts that live for one round  # nosec B105


class GaveUp(Exception):
    """Nobody answered for as long as a client has patience."""


@dataclass
class Caller:
    """One client's way to the web server."""

    name: str
    port: int
    history: History
    rng: random.Random
    token: str = ""
    request_seconds: float = REQUEST_SECONDS
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def call(
        self,
        what: str,
        subject: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        sent: Any = None,
    ) -> Exchange:
        """One attempt, which is recorded. `sent` is what the record says instead of the body."""
        shown = body if sent is None else sent
        exchange = Exchange(self.name, what, subject, shown, self.history.now())
        self.history.add(exchange)
        try:
            status, answer = self._send(method, path, body, headers or {})
        except (OSError, http.client.HTTPException, ValueError):
            self.hang_up()
        else:
            exchange.ended = self.history.now()
            exchange.answer, exchange.status = answer, status
        return exchange

    def insist(self, *args: Any, **kwargs: Any) -> Exchange:
        """As `call`, again until there is an answer that is no server's trouble.

        Raises GaveUp.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            exchange = self.call(*args, **kwargs)
            if not exchange.is_open and not exchange.is_to_be_sent_again:
                return exchange
            if time.monotonic() > deadline:
                raise GaveUp(f"{self.name}: {exchange.what} was not answered")
            time.sleep(self.rng.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _send(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                HOST, self.port, timeout=self.request_seconds
            )
        sent = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        self._connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = self._connection.getresponse()
        text = answer.read()
        content = json.loads(text) if text else None
        if isinstance(content, dict) and "etag" in answer.headers:
            content["etag"] = answer.headers["etag"]
        return answer.status, content


@dataclass(frozen=True)
class Account:
    """Somebody who has registered and signed in."""

    id: str
    username: str
    token: str


def sign_in(caller: Caller, username: str) -> str:
    """A token. Raises GaveUp."""
    account = {"username": username, "password": PASSWORD}
    signed_in = caller.insist(
        "sign in", username, "POST", "/api/auth/tokens/", account, sent=username
    )
    if not signed_in.succeeded:
        raise GaveUp(f"{caller.name}: {username} cannot sign in: {signed_in.answer}")
    return str(signed_in.answer.pop("token"))  # the history is to be shown to anybody


def settle(caller: Caller, username: str) -> Account:
    """Register and sign in; the caller has the account's token from then on. Raises GaveUp."""
    # A name that is taken was taken by an attempt that was not answered.
    account = {"username": username, "password": PASSWORD}
    caller.insist("register", username, "POST", "/api/users/", account, sent=username)
    caller.token = sign_in(caller, username)
    me = caller.insist("who am I", username, "GET", "/api/users/me/")
    return Account(me.answer["id"], username, caller.token)


def create_counter(caller: Caller, owner: Account, name: str) -> str:
    """The id of a new counter of the caller's. Raises GaveUp."""
    sent = {"owner": owner.id, "name": name}
    created = caller.insist(
        "create counter", name, "POST", "/api/counters/", {"name": name}, sent=sent
    )
    if created.succeeded:
        return str(created.answer["id"])
    # It is taken: an attempt that was not answered has made it.
    path = "/api/counters/?page_size=200"
    mine = caller.insist("list counters", name, "GET", path, sent=sent)
    return next(str(each["id"]) for each in mine.answer["results"] if each["name"] == name)


def create_todo(caller: Caller, user_id: str, title: str) -> Exchange:
    """Sent with a key until it is answered. The title is of this todo only. Raises GaveUp."""
    return caller.insist(
        *("create todo", user_id, "POST", "/api/todos/", {"title": title}),
        headers={"Idempotency-Key": title.replace(" ", "-")},
    )


class Client:
    """A thread that lives one small story after the other until the load is over."""

    def __init__(self, caller: Caller, over: threading.Event, complaints: list[str]) -> None:
        self.caller = caller
        self.rng = caller.rng
        self.over = over
        self.complaints = complaints
        self._thread = threading.Thread(target=self._run, name=caller.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def live(self) -> None:
        """One story."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            while not self.over.is_set():
                self.live()
        except GaveUp as error:
            self.complaints.append(str(error))
        except Exception as error:  # a client that dies unheard would make the load look well
            self.complaints.append(f"{self.caller.name} broke: {error!r}")
            raise
        finally:
            self.caller.hang_up()
