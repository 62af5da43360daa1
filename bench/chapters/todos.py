"""A million todos of ten thousand people: reading, searching, creating, all at once."""

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from bench import load, todos
from bench.errors import CannotMeasure
from bench.figures import Figure, ratio
from bench.instance import Instance
from bench.plan import Plan, Say
from bench.report import Section, Table, Target, spread, times
from bench.todos import milliseconds
from bench.waiting import wait_until

NAME = "todos"
TIMES = 60
# So often psycopg and PostgreSQL, between them, plan a statement anew in each session. The web
# server has one for each thread, and wakes its threads in turn; SQL by hand has one.
PLANNED_ANEW = 10
PEOPLE_AT_ONCE = 16
FAR_PAGE = 1_000
MOST_TO_SUM, MOST_FAR_PAGE, LEAST_SEARCH, MOST_SERIALISING = 1.5, 1.2, 50.0, 1.0
MIXED = Path(__file__).parent.parent / "mixed.lua"
LABELS = {
    "own": "the first page of one's own list",
    "filtered": "a filtered list",
    "search": "a search",
    "part": "a search for two letters of Korean",
    "one": "one todo",
    "create": "a create",
}

TEXT = """\
{todos:,} todos of {people:,} people, every fiftieth public, {rounds} rounds. One person asks on \
one lasting connection, one request after the other; *nothing* is a view that does nothing behind \
the same web server, token and permission check, and *SQL* the same statements sent by hand, \
prepared, over a lasting connection. They take turns, {each} a round, one request or statement \
each, in an order that changes: whatever else the machine does meets all alike. (The same one \
over and over is faster, and the less it does the more so.) Creating has rounds of its own behind \
those of reading. A request ends with the last byte of its answer, and a statement with that of \
its rows: what a client makes of either is not in the time. Each is the median of a round, behind \
one in which every session sends every statement ten times.

Searched for is a word that one todo in a thousand has, and for {part}, a part of a word that as \
many have. `ILIKE` looks for the same with no index to use. *Page {far:,}* is of the list of all \
{todos:,} as staff see it, reached by following `next`. At once, when all else is done: \
{connections} connections of {at_once_people} people for {seconds} s a round, 80 % reading (a \
tenth of all searches), 12 % creating, 8 % changing; no request may fail. *Right behind it* one \
person asks again, while the web server still has all the threads that the load took: their \
sessions take turns, and none is warm."""

Action = Callable[[], object]
Arms = dict[tuple[str, str], Action]


def measure(plan: Plan, say: Say) -> dict[str, Any]:
    with Instance(plan) as epis:
        me = UUID(epis.call("GET", "/api/users/me/")["id"])
        todos.fill(epis, plan.todos, plan.accounts, me)
        say(f"{plan.todos:,} todos are in")
        database = epis.connection("todos")
        name = _name_of(epis, me)
        client = todos.Client(epis, epis.token)
        ask = client.receive
        one = client.ask("GET", "/api/todos/")["results"][0]["id"]
        told = {"me": me, "id": UUID(one), "search": todos.RARE}
        new = {"title": "one more", "tags": ["soon"]}
        pages = {
            "own": todos.page(username=name),
            "filtered": todos.page(completed=False, category="work", tag=["soon"]),
            "search": todos.page(search=todos.RARE),
            "part": todos.page(search=todos.RARE_PART),
        }
        requests: dict[str, Action] = {
            "own": partial(ask, "GET", f"/api/todos/?username={name.replace(' ', '%20')}"),
            "filtered": partial(ask, "GET", "/api/todos/?completed=false&category=work&tag=soon"),
            "search": partial(ask, "GET", f"/api/todos/?search={todos.RARE}"),
            "part": partial(ask, "GET", "/api/todos/?search=%EC%9A%B0%EC%9C%A0"),
            "one": partial(ask, "GET", f"/api/todos/{one}/"),
            "nothing": partial(ask, "GET", "/bench/nothing/"),
        }
        by_hand: dict[str, Action] = {
            **{
                each: partial(todos.receive, database, query, told | wanted)
                for each, (query, wanted) in pages.items()
            },
            "one": partial(todos.receive, database, todos.ONE, told),
        }
        plans = {
            each: todos.plan_of(database, query, told | wanted)
            for each, (query, wanted) in pages.items()
            if "search" in wanted
        }
        for plan_text in plans.values():
            if "todos_found_by" not in plan_text or "Seq Scan on todos_todo" in plan_text:
                raise CannotMeasure(f"a search does not use its index:\n{plan_text}")
        staff, far = _far_page(epis)
        reading: Arms = {
            **{("http", each): request for each, request in requests.items()},
            **{("sql", each): statement for each, statement in by_hand.items()},
            ("pages", "first"): partial(staff, "GET", "/api/todos/"),
            ("pages", "far"): partial(staff, "GET", far),
        }
        # Behind all reading: what is created is at the front of every list, and one person's
        # alone, so that there a page has one owner to look up and any other one fifty.
        creating: Arms = {
            ("http", "create"): partial(ask, "POST", "/api/todos/", new),
            ("http", "nothing-sent"): partial(ask, "POST", "/bench/nothing/", new),
            ("sql", "create"): partial(todos.receive, database, todos.CREATE, told | new),
        }
        measured: dict[str, dict[str, list[float]]] = {"http": {}, "sql": {}, "pages": {}}
        warm_up = max(TIMES, PLANNED_ANEW * plan.web_threads)
        for label, arms in (("reading", reading), ("creating", creating)):
            todos.in_turn(arms, warm_up)
            for number in range(plan.rounds):
                taken = todos.in_turn(arms, TIMES)
                if label == "reading":
                    taken["sql", "ilike"] = milliseconds(lambda: _ilike(epis, told), 2)
                for (which, each), figures in taken.items():
                    measured[which].setdefault(each, []).append(median(figures))
                say(f"{label}: round {number + 1} of {plan.rounds}")
        profile = _profile(epis, name)
        at_once = _at_once(epis, plan, say, behind=requests["own"])
    return {
        "todos": plan.todos,
        "people": plan.accounts,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "connections": plan.connections,
        "each": TIMES,
        **measured,
        "at_once": at_once,
        "profile": profile,
        "plans": plans,
    }


def _name_of(epis: Instance, me: UUID) -> str:
    row = epis.connection("todos").execute("SELECT username FROM todos_owner WHERE id = %s", [me])
    ((name,),) = row.fetchall()
    return str(name)


def _ilike(epis: Instance, told: dict[str, Any]) -> None:
    """As where there is no index for it: title and content have none, so every row is read."""
    database = epis.connection("todos")
    with database.transaction():
        database.execute("SET LOCAL enable_indexscan = off")
        database.execute("SET LOCAL enable_bitmapscan = off")
        database.execute(todos.ILIKE, told).fetchall()


def _far_page(epis: Instance) -> tuple[Callable[..., Any], str]:
    """Staff's client, and the address of the page so far behind."""
    user_id, token = todos.sign_up(epis, "clerk")
    users = epis.connection("default")
    users.execute("UPDATE users_user SET is_staff = true WHERE id = %s", [user_id])
    client = todos.Client(epis, token)
    address = "/api/todos/"
    for _ in range(FAR_PAGE - 1):
        following = client.ask("GET", address)["next"]
        if following is None:
            break  # of a trial with fewer
        address = following.partition(str(epis.port))[2]
    return client.receive, address


def _people(epis: Instance) -> str:
    """A file of people for the mixed load: a token and some ids to a line."""
    lines = []
    for number in range(PEOPLE_AT_ONCE):
        _, token = todos.sign_up(epis, f"busy-{number}")
        ask = todos.Client(epis, token).ask
        ids = [ask("POST", "/api/todos/", {"title": f"todo {n}"})["id"] for n in range(100)]
        lines.append(" ".join([token, *ids]))
    handle, name = tempfile.mkstemp(prefix="epis-bench-people-")
    with os.fdopen(handle, "w") as file:
        file.write("\n".join(lines))
    return name


def _at_once(epis: Instance, plan: Plan, say: Say, *, behind: Action) -> list[dict[str, float]]:
    """Rounds of mixed load, and how long `behind` takes right behind each.

    They come last: the web server has all of its threads for another half a minute then, and
    their sessions take turns in answering a single person.
    """
    people = _people(epis)
    done = []
    for number in range(-1, plan.rounds):
        mixed = _mixed(epis, people, plan)
        mixed["behind_ms"] = median(milliseconds(behind, TIMES))
        if number >= 0:
            done.append(mixed)
            say(f"round {number + 1} of {plan.rounds}: {mixed['per_second']:,.0f} requests/s")
    Path(people).unlink()
    return done


def _mixed(epis: Instance, people: str, plan: Plan) -> dict[str, float]:
    told = {"BENCH_PEOPLE": people, "BENCH_WORDS": f"{todos.RARE} one todo"}
    done = load.run_script(
        MIXED, epis.url("/"), seconds=plan.seconds, connections=plan.connections, told=told
    )
    if done.refused or done.broken:
        raise CannotMeasure(f"of {done.answered} mixed requests {done.refused} were refused")
    return {"per_second": done.per_second, "p50_ms": done.p50_ms, "p99_ms": done.p99_ms}


def _profile(epis: Instance, name: str) -> dict[str, float]:
    process = epis.start("profile", "-m", "bench.todo_profile", name)
    wait_until("the profile", lambda: process.poll() is not None, seconds=60)
    if process.returncode != 0:
        raise CannotMeasure(f"the profile failed: {epis.said('profile').strip()[-500:]}")
    profile: dict[str, float] = json.loads(epis.said("profile"))
    return profile


def report(raw: dict[str, Any]) -> Section:
    over_http, by_hand, pages = raw["http"], raw["sql"], raw["pages"]
    to_sum = {}
    rows = []
    for name, label in LABELS.items():
        nothing = over_http["nothing-sent" if name == "create" else "nothing"]
        both = [one + other for one, other in zip(nothing, by_hand[name], strict=True)]
        to_sum[name] = ratio(over_http[name], both)
        figures = [over_http[name], nothing, by_hand[name]]
        cells = [spread(Figure.of(each), 2) for each in figures]
        rows.append([label, *cells, times(to_sum[name])])
    far = ratio(pages["far"], pages["first"])
    search = ratio(by_hand["ilike"], by_hand["search"])
    profile, at_once = raw["profile"], raw["at_once"]
    serialising = profile["serialising"] / profile["query"]
    p99, behind = (Figure.of([each[name] for each in at_once]) for name in ("p99_ms", "behind_ms"))
    return Section(
        title="Todos",
        text=TEXT.format(
            **raw, far=FAR_PAGE, at_once_people=PEOPLE_AT_ONCE, part=f"“{todos.RARE_PART}”"
        ),
        tables=[
            Table(("ms", "epis", "nothing", "SQL", "epis to their sum"), rows),
            Table(
                ("ms", "", ""),
                [
                    ["`ILIKE '%…%'` without an index", spread(Figure.of(by_hand["ilike"]), 1), ""],
                    ["the same by epis' index", spread(Figure.of(by_hand["search"]), 2), ""],
                    ["the first page, for staff", spread(Figure.of(pages["first"]), 2), ""],
                    [f"page {FAR_PAGE:,}", spread(Figure.of(pages["far"]), 2), times(far)],
                ],
            ),
            Table(
                ("at once", ""),
                [
                    ["requests/s", spread(Figure.of([each["per_second"] for each in at_once]))],
                    ["p50, ms", spread(Figure.of([each["p50_ms"] for each in at_once]), 1)],
                    ["p99, ms", spread(p99, 1)],
                    ["one's own list right behind it, ms", spread(behind, 2)],
                ],
            ),
            Table(
                ("50 todos of a list, ms", ""),
                [
                    ["the query", f"{profile['query']:.2f}"],
                    ["the query, put together, and its rows", f"{profile['query_and_rows']:.2f}"],
                    ["serialising", f"{profile['serialising']:.2f}"],
                    ["JSON", f"{profile['json']:.2f}"],
                ],
            ),
        ],
        targets=[
            *(
                Target(f"{label}, to its SQL and nothing", sums.median, MOST_TO_SUM, at_most=True)
                for sums, label in zip(to_sum.values(), LABELS.values(), strict=True)
            ),
            Target(f"page {FAR_PAGE:,} to the first", far.median, MOST_FAR_PAGE, at_most=True),
            Target("ILIKE to a search", search.median, LEAST_SEARCH),
            Target(
                "serialising 50 todos to the query", serialising, MOST_SERIALISING, at_most=True
            ),
        ],
    )
