"""A round that was played, kept in the docs: all is well in it, until it is spoilt."""

from collections.abc import Callable

import pytest

from faults.at_rest import AtRest, read_again
from faults.history import Exchange, read
from faults.judges import JUDGES, judge
from faults.judges.accounts import stayed
from faults.record import DOCS

ROUND = DOCS / "faults" / "a-round"
History = list[Exchange]


@pytest.fixture
def exchanges() -> History:
    return list(read(ROUND / "round-1.jsonl.gz"))


@pytest.fixture
def at_rest() -> AtRest:
    return read_again(ROUND / "round-1.rest.json.gz")


def answered(what: str, exchanges: History) -> History:
    return [each for each in exchanges if each.what == what and each.succeeded]


def nobody_is_renamed(exchanges: History, at_rest: AtRest) -> None:
    exchanges[:] = [each for each in exchanges if each.what != "rename"]


def increment_gone(exchanges: History, at_rest: AtRest) -> None:
    told = answered("increment", exchanges)[0].answer["id"]
    at_rest.increments = [each for each in at_rest.increments if each.id != told]


def increment_twice(exchanges: History, at_rest: AtRest) -> None:
    at_rest.increments.append(at_rest.increments[0])


def result_skipped(exchanges: History, at_rest: AtRest) -> None:
    last = at_rest.increments[-1]
    at_rest.increments[-1] = last._replace(result=(last.result or 0) + 1)


def first_and_last_exchanged(exchanges: History, at_rest: AtRest) -> None:
    """In the order of one counter; the places and results are left as they are."""
    counter = answered("read counter", exchanges)[0].subject
    numbers = [n for n, each in enumerate(at_rest.increments) if each.counter == counter]
    one, other = (at_rest.increments[n] for n in (numbers[0], numbers[-1]))
    at_rest.increments[numbers[0]] = one._replace(id=other.id, key=other.key)
    at_rest.increments[numbers[-1]] = other._replace(id=one.id, key=one.key)


def nothing_pending(exchanges: History, at_rest: AtRest) -> None:
    """A read that has forgotten all that was accepted."""
    answered("read counter", exchanges)[-1].answer["pending"]["amount"] = -100


def todo_gone(exchanges: History, at_rest: AtRest) -> None:
    there = stayed(exchanges)
    created = answered("create todo", exchanges)
    at_rest.todos.pop(next(each.answer["id"] for each in created if each.subject in there))


def deletion_under_way(exchanges: History, at_rest: AtRest) -> None:
    at_rest.deletions[0] = at_rest.deletions[0]._replace(state="running")


def one_more_deleted(exchanges: History, at_rest: AtRest) -> None:
    number = next(n for n, each in enumerate(at_rest.deletions) if each.state == "done")
    each = at_rest.deletions[number]
    more = {**each.deleted, "todos": each.deleted["todos"] + 1}
    at_rest.deletions[number] = each._replace(deleted=more)


def todo_of_nobody(exchanges: History, at_rest: AtRest) -> None:
    at_rest.owned["todos_todo"].append(at_rest.deletions[0].user)
    at_rest.users.pop(at_rest.deletions[0].user, None)


def user_gone(exchanges: History, at_rest: AtRest) -> None:
    del at_rest.users[next(iter(stayed(exchanges)))]


def name_not_arrived(exchanges: History, at_rest: AtRest) -> None:
    owners = at_rest.owners["todos"]
    user = next(user for user in owners if user in at_rest.users)
    owners[user] = owners[user]._replace(username="of old")


def error_answered(exchanges: History, at_rest: AtRest) -> None:
    exchanges[-1].status = 500


SPOILT: dict[str, Callable[[History, AtRest], None]] = {
    "tried": nobody_is_renamed,
    "lost": increment_gone,
    "doubled": increment_twice,
    "sequence": result_skipped,
    "tickets": first_and_last_exchanged,
    "totals": nothing_pending,
    "todos": todo_gone,
    "deletions": deletion_under_way,
    "certificates": one_more_deleted,
    "orphans": todo_of_nobody,
    "restored": user_gone,
    "renames": name_not_arrived,
    "answers": error_answered,
}


class TestARound:
    def test_that_was_played_is_acquitted(self, exchanges: History, at_rest: AtRest) -> None:
        assert len(exchanges) > 2_000
        assert judge(exchanges, at_rest) == {name: [] for name in JUDGES}

    @pytest.mark.parametrize("name", JUDGES)
    def test_that_is_spoilt_for_a_judge_is_not(
        self, name: str, exchanges: History, at_rest: AtRest
    ) -> None:
        SPOILT[name](exchanges, at_rest)

        assert judge(exchanges, at_rest)[name]
