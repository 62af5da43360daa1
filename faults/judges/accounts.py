"""Every deletion ended with an exact certificate, no orphan is left, every rename arrived."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from faults.at_rest import APPS, AtRest
from faults.history import Exchange
from faults.judges.counting import asked_in, owners_of_counters


def stayed(exchanges: Sequence[Exchange]) -> set[str]:
    """Users who must be there: never asked to go, or told that they are back.

    Of who is back nothing is said if a request to go was never answered: it may come late.
    """
    known = {each.subject for each in exchanges if each.what in ("rename", "create todo")}
    going = [each for each in exchanges if each.what == "delete account"]
    perhaps_going = {each.subject for each in going if each.is_open}
    asked_to_go = {each.subject for each in going}
    return (known - asked_to_go) | (_back(exchanges, told=True) - perhaps_going)


def _back(exchanges: Sequence[Exchange], *, told: bool) -> set[str]:
    """Users whose deletion was cancelled; unless they were told, only perhaps."""
    cancels = [each for each in exchanges if each.what == "cancel deletion"]
    return {each.subject for each in cancels if each.succeeded or (each.is_open and not told)}


def unfinished_deletions(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """An acknowledged one that is not done, or done of somebody of whom something is left."""
    states = [(each.user, each.state) for each in rest.deletions]
    known = {user for user, _ in states}
    for each in exchanges:
        if each.what == "delete account" and each.succeeded and each.subject not in known:
            yield f"the deletion of {each.subject} was acknowledged and is not there"
    for user in sorted(_back(exchanges, told=True)):
        if (user, "cancelled") not in states:
            yield f"the deletion of {user} was said to be cancelled and is not"
    perhaps_back = _back(exchanges, told=False)
    for user, state in states:
        if state != "done" and not (state == "cancelled" and user in perhaps_back):
            yield f"the deletion of {user} is {state}"
        if state == "done" and user in rest.users:
            yield f"{user} was deleted and is there"
        for app in APPS:
            owner = rest.owners[app].get(user)
            if state == "done" and not (owner and owner.has_tombstone):
                yield f"{user} was deleted and has no tombstone in {app}"


def wrong_certificates(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Each says what its app has counted, between what was acknowledged and what was sent.

    One that was cancelled has touched nothing.
    """
    acknowledged, sent = _rows_of(exchanges)
    for each in rest.deletions:
        if each.state == "cancelled" and any(each.deleted.values()):
            yield f"the deletion of {each.user} was cancelled and has deleted {each.deleted}"
        if each.state != "done":
            continue
        for app in APPS:
            says = each.deleted[app]
            owner = rest.owners[app].get(each.user)
            counted = owner.purged_rows if owner else 0
            least, most = len(acknowledged[app, each.user]), len(sent[app, each.user])
            if says != counted:
                yield f"the certificate of {each.user} says {says}, {app} counted {counted}"
            if not least <= says <= most:
                yield (
                    f"the certificate of {each.user} says {says} of {app}; {least} were "
                    f"acknowledged, {most} sent"
                )


def _rows_of(
    exchanges: Sequence[Exchange],
) -> tuple[dict[tuple[str, str], set[object]], dict[tuple[str, str], set[object]]]:
    """By app and user: what was acknowledged, and what may have been created."""
    acknowledged: dict[tuple[str, str], set[object]] = defaultdict(set)
    sent: dict[tuple[str, str], set[object]] = defaultdict(set)
    owner_of = owners_of_counters(exchanges)
    for each in exchanges:
        rows: set[object] = set()
        where = ("todos", each.subject)
        if each.what == "create todo":
            rows = {each.sent["title"]}
        elif each.what == "create counter":
            where = ("counter", each.sent["owner"])
            rows = {each.sent["name"]}
        elif each.what == "list counters" and each.succeeded:
            where = ("counter", each.sent["owner"])
            rows = {counter["name"] for counter in each.answer["results"]}
        elif each.subject in owner_of:
            where = ("counter", owner_of[each.subject])
            rows = {(each.subject, asked.key) for asked in asked_in(each)}
        if each.succeeded:
            acknowledged[where] |= rows
        if each.may_have_happened:
            sent[where] |= rows
    return acknowledged, sent


def orphans(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Rows of users who are not there, and increments of counters that are not."""
    for table, owners in rest.owned.items():
        for owner in sorted(set(owners) - rest.users.keys()):
            yield f"rows of {table} are left of {owner}"
    for missing in {each.counter for each in rest.increments} - rest.counters.keys():
        yield f"increments are left of counter {missing}"


def lost_accounts(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """Users who were not to go, or were told that they are back, and are not; or their counters."""
    there = stayed(exchanges)
    for id, user in owners_of_counters(exchanges).items():
        if user in there and id not in rest.counters:
            yield f"counter {id} of {user}, who stayed, is gone"
    for user in sorted(there):
        if user not in rest.users:
            yield f"{user} was to stay and is gone"
        elif rest.users[user].is_closed:
            yield f"{user} was to stay and is closed"
        for app in APPS:
            owner = rest.owners[app].get(user)
            if owner and owner.has_tombstone:
                yield f"{user} was to stay and has a tombstone in {app}"


def lost_renames(exchanges: Sequence[Exchange], rest: AtRest) -> Iterator[str]:
    """A name that is not the last that was acknowledged, or that another app does not know.

    A request that was not answered may come late, so its name is possible as well.
    """
    last: dict[str, str] = {}
    perhaps: dict[str, set[str]] = defaultdict(set)
    for each in exchanges:
        if each.what == "rename" and each.succeeded:
            last[each.subject] = each.sent["username"]
        elif each.what == "rename" and each.is_open:
            perhaps[each.subject].add(each.sent["username"])
    for user, name in last.items():
        if user in rest.users and rest.users[user].username not in {name} | perhaps[user]:
            yield f"{user} is called {rest.users[user].username}, not {name}"
    for app in APPS:
        for id, owner in rest.owners[app].items():
            if id in rest.users and not owner.has_tombstone:
                name = rest.users[id].username
                if owner.username != name:
                    yield f"{id} is called {owner.username} in {app}, not {name}"
