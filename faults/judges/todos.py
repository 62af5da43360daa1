"""No acknowledged todo is lost, and no change of one is overwritten by who had not seen it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from faults.at_rest import AtRest, Todo
from faults.history import Exchange
from faults.judges.accounts import stayed


def lost_or_overwritten(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    yield from _lost(exchanges, rest)
    yield from _overwritten(exchanges, rest)


def _lost(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Of users who stayed: each acknowledged one is there. None was created twice, or unasked.

    A title is of one todo, however often that was asked for.
    """
    there = stayed(exchanges)
    for each in exchanges:
        if each.what == "create todo" and each.succeeded and each.subject in there:
            if each.answer["id"] not in rest.todos:
                yield f"todo {each.sent['title']!r} was acknowledged and is not there"
            elif rest.todos[each.answer["id"]].owner != each.subject:
                yield f"todo {each.sent['title']!r} has another owner"
    created = [each for each in exchanges if each.what == "create todo"]
    asked = {(each.subject, each.sent["title"]) for each in created if each.may_have_happened}
    changed = {each.subject for each in exchanges if each.what == "change todo"}
    for id, todo in rest.todos.items():
        if id not in changed and (todo.owner, todo.title) not in asked:
            yield f"todo {todo.title!r} was never asked for, or was refused, and is there"
    times = Counter((todo.owner, todo.title) for todo in rest.todos.values())
    for user, title in asked:
        if times[user, title] > 1:
            yield f"todo {title!r} was created twice"
    first: dict[tuple[str, str], str] = {}
    for each in created:
        if each.succeeded:
            id = first.setdefault((each.subject, each.sent["title"]), each.answer["id"])
            if each.answer["id"] != id:
                yield f"todo {each.sent['title']!r} was acknowledged as {id}, {each.answer['id']}"


def _overwritten(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    about: dict[str, list[Exchange]] = defaultdict(list)
    for each in exchanges:
        if each.what in ("change todo", "read todo"):
            about[each.subject].append(each)
    for todo, of_todo in about.items():
        if todo in rest.todos:
            faults = _faults_of(of_todo, rest.todos[todo])
            yield from (f"todo {todo}: {fault}" for fault in faults)


def _faults_of(exchanges: Sequence[Exchange], at_rest: Todo) -> Iterator[str]:
    """Every version was written by one change, of somebody who had read the one before."""
    changes = [each for each in exchanges if each.what == "change todo"]
    titles: dict[int, str] = {}
    for each in changes:
        version, title = each.sent["version"] + 1, each.sent["title"]
        if each.succeeded and titles.setdefault(version, title) != title:
            yield f"version {version} was written as {titles[version]!r} and as {title!r}"
        if each.succeeded and each.answer["version"] != version:
            yield f"{title!r} was written as version {each.answer['version']}, not {version}"
    if max(titles, default=0) > at_rest.version:
        yield f"version {max(titles)} was acknowledged, it is at {at_rest.version}"
    for version, title in _seen(exchanges, at_rest):
        tried = {
            each.sent["title"]
            for each in changes
            if each.sent["version"] + 1 == version and each.may_have_happened
        }
        if titles.setdefault(version, title) != title:
            yield f"version {version} is {title!r} and was {titles[version]!r}"
        elif version > 1 and title not in tried:
            yield f"version {version} is {title!r}, which nobody wrote"


def _seen(exchanges: Sequence[Exchange], at_rest: Todo) -> set[tuple[int, str]]:
    """Versions, and what they were read as."""
    reads = (each for each in exchanges if each.what == "read todo" and each.succeeded)
    seen = {(each.answer["version"], str(each.answer["title"])) for each in reads}
    return {*seen, (at_rest.version, at_rest.title)}
