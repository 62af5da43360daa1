"""Small histories and databases by which the judges are tried: all is well until it is spoilt."""

from typing import Any

from faults.at_rest import AtRest, Counter, Deletion, Increment, Owner, Todo, User
from faults.history import Exchange

COUNTER, KEEPER, LEAVER, TODO = "the counter", "keeper", "leaver", "the todo"


def exchange(what: str, subject: str, sent: Any, began: float, **told: Any) -> Exchange:
    """Answered with 200 a moment later, unless told otherwise."""
    known: dict[str, Any] = {"ended": began + 0.5, "status": 200} | told
    return Exchange("client", what, subject, sent, began, **known)


def unanswered(what: str, subject: str, sent: Any, began: float) -> Exchange:
    return Exchange("client", what, subject, sent, began)


def increment(key: str, began: float, result: int | None = None, amount: int = 1) -> Exchange:
    receipt = {"id": f"id of {key}", "state": "applied" if result else "pending", "result": result}
    sent = {"key": key, "amount": amount}
    return exchange("increment", COUNTER, sent, began, answer=receipt)


def read(value: int, began: float, pending: int = 0) -> Exchange:
    answer = {"value": value, "pending": {"amount": pending}}
    return exchange("read counter", COUNTER, None, began, answer=answer)


def entry(key: str, place: int | None, result: int | None, amount: int = 1) -> Increment:
    return Increment(COUNTER, key, f"id of {key}", amount, place, result)


def ledger(*keys: str) -> AtRest:
    """A counter of the keeper's, with these increments of one."""
    entries = [entry(key, place, place) for place, key in enumerate(keys, start=1)]
    counters = {COUNTER: Counter(KEEPER, len(keys), len(keys))}
    return AtRest(increments=entries, counters=counters, users={KEEPER: User("keeper", False)})


def write(version: int, title: str, began: float, **told: Any) -> Exchange:
    """A change by somebody who has read this version."""
    sent = {"title": title, "version": version}
    return exchange("change todo", TODO, sent, began, answer={"version": version + 1}, **told)


def todo_at(version: int, title: str) -> AtRest:
    users = {KEEPER: User("keeper", False)}
    return AtRest(todos={TODO: Todo(KEEPER, title, version)}, users=users)


def create(user: str, title: str, began: float) -> Exchange:
    answer = {"id": f"id of {title}"}
    return exchange("create todo", user, {"title": title}, began, status=201, answer=answer)


def rename(username: str, began: float) -> Exchange:
    return exchange("rename", KEEPER, {"username": username}, began)


def known_as(username: str, **in_apps: str) -> AtRest:
    """The keeper, as the users and each app know them."""
    owners = {
        app: {KEEPER: Owner(in_apps.get(app, username), False, 0)} for app in ("todos", "counter")
    }
    return AtRest(users={KEEPER: User(username, False)}, owners=owners)


def departure() -> tuple[list[Exchange], AtRest]:
    """Somebody who had two todos and a counter with one increment, and was deleted."""
    counter = {"owner": LEAVER, "name": "theirs"}
    made = {"status": 201, "answer": {"id": COUNTER}}
    exchanges = [
        create(LEAVER, "first", 1),
        create(LEAVER, "second", 2),
        exchange("create counter", "theirs", counter, 3, **made),
        increment("one", 4),
        exchange("delete account", LEAVER, None, 5, status=202, answer={"id": "deletion"}),
    ]
    gone = {"todos": Owner("", True, 2), "counter": Owner("", True, 2)}
    at_rest = AtRest(
        deletions=[Deletion(LEAVER, "done", {"todos": 2, "counter": 2})],
        owners={app: {LEAVER: owner} for app, owner in gone.items()},
    )
    return exchanges, at_rest


def return_() -> tuple[list[Exchange], AtRest]:
    """The keeper, who was to be deleted and came back in time."""
    exchanges = [
        create(KEEPER, "first", 1),
        exchange("delete account", KEEPER, None, 2, status=202, answer={"id": "deletion"}),
        exchange("cancel deletion", KEEPER, {}, 3),
    ]
    at_rest = known_as("keeper")
    at_rest.todos = {"id of first": Todo(KEEPER, "first", 1)}
    at_rest.deletions = [Deletion(KEEPER, "cancelled", {"todos": 0, "counter": 0})]
    return exchanges, at_rest
