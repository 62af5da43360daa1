"""Each judge finds what is planted for it, and finds nothing where all is well."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from faults.at_rest import AtRest, Counter, Deletion, Owner, Todo, User
from faults.history import Exchange
from faults.judges import JUDGES, accounts, answers, counting, judge, order, todos
from tests.faults.worlds import (
    COUNTER,
    KEEPER,
    LEAVER,
    TODO,
    create,
    departure,
    entry,
    exchange,
    increment,
    known_as,
    ledger,
    read,
    rename,
    return_,
    todo_at,
    unanswered,
    write,
)

World = tuple[Sequence[Exchange], AtRest]


def found(judge: Callable[..., object], world: World) -> list[str]:
    return list(judge(*world))  # type: ignore[call-overload]


class TestWhereAllIsWell:
    @pytest.mark.parametrize(
        "world",
        [
            ([], AtRest(owners={"todos": {}, "counter": {}})),
            departure(),
            return_(),
        ],
    )
    def test_nobody_finds_anything_but_that_little_was_tried(self, world: World) -> None:
        told = judge(*world)

        assert told.pop("tried")
        assert told == {name: [] for name in JUDGES if name != "tried"}

    def test_a_late_answer_and_a_repeated_request_are_no_fault(self) -> None:
        exchanges = [
            unanswered("increment", COUNTER, {"key": "a", "amount": 1}, 1),
            increment("a", 2),
            increment("a", 3, result=1),
            read(0, 1.2, pending=1),
            read(1, 4),
        ]

        assert not any(found(JUDGES[name], (exchanges, ledger("a"))) for name in COUNTED)


class TestTried:
    def test_a_history_in_which_nothing_is_recorded_is_refused(self) -> None:
        assert len(found(answers.nothing_tried, ([], AtRest()))) == len(answers.TRIED)

    def test_what_was_sent_and_never_answered_was_not_tried(self) -> None:
        tried = [exchange(what, "x", {}, 1) for what in answers.TRIED]
        in_vain = [*tried[1:], unanswered(answers.TRIED[0], "x", {}, 1)]

        assert not found(answers.nothing_tried, (tried, AtRest()))
        assert len(found(answers.nothing_tried, (in_vain, AtRest()))) == 1


COUNTED = ("lost", "doubled", "sequence", "tickets", "totals")


class TestCounting:
    def test_an_acknowledged_increment_that_is_not_there_is_lost(self) -> None:
        world = [increment("a", 1), increment("b", 2)], ledger("a")

        assert len(found(counting.lost, world)) == 1

    def test_one_that_is_still_pending_is_lost(self) -> None:
        at_rest = ledger()
        at_rest.increments = [entry("a", None, None)]

        assert found(counting.lost, ([increment("a", 1)], at_rest))

    def test_one_of_an_array_is_lost(self) -> None:
        sent = [{"key": "a", "amount": 1}, {"key": "b", "amount": 1}]
        receipts = [{"key": key, "id": f"id of {key}"} for key in "ab"]
        array = exchange("increments", COUNTER, sent, 1, answer={"results": receipts})

        assert len(found(counting.lost, ([array], ledger("b")))) == 1

    def test_another_amount_than_acknowledged_is_a_loss(self) -> None:
        assert found(counting.lost, ([increment("a", 1, amount=2)], ledger("a")))

    def test_with_its_counter_it_is_lost_unless_the_owner_was_deleted(self) -> None:
        exchanges, at_rest = departure()

        assert not found(counting.lost, (exchanges, at_rest))
        at_rest.deletions = []
        assert found(counting.lost, (exchanges, at_rest))

    def test_a_key_that_is_there_twice_is_doubled(self) -> None:
        assert found(counting.doubled, ([increment("a", 1)], ledger("a", "a")))

    def test_an_increment_that_was_never_sent_is_found(self) -> None:
        assert found(counting.doubled, ([increment("a", 1)], ledger("a", "b")))

    def test_one_that_was_sent_to_another_counter_only_is_found(self) -> None:
        elsewhere = replace(increment("a", 1), subject="another")

        assert found(counting.doubled, ([elsewhere], ledger("a")))

    def test_one_that_was_refused_each_time_and_is_there_is_found(self) -> None:
        refused = replace(increment("a", 1), status=401, answer={})
        attempt = unanswered("increment", COUNTER, {"key": "a", "amount": 1}, 0)

        assert found(counting.doubled, ([refused], ledger("a")))
        assert not found(counting.doubled, ([attempt, refused], ledger("a")))

    def test_two_receipts_for_one_key_are_found(self) -> None:
        second = increment("a", 2)
        second.answer = {**second.answer, "id": "another"}

        assert found(counting.doubled, ([increment("a", 1), second], ledger("a")))

    def test_one_that_was_not_answered_may_be_there_or_not(self) -> None:
        attempt = unanswered("increment", COUNTER, {"key": "a", "amount": 1}, 1)

        for at_rest in (ledger(), ledger("a")):
            assert not found(counting.lost, ([attempt], at_rest))
            assert not found(counting.doubled, ([attempt], at_rest))


class TestSequence:
    @pytest.mark.parametrize("place", [1, 3])
    def test_a_place_that_is_taken_twice_or_left_out_is_found(self, place: int) -> None:
        at_rest = ledger("a", "b")
        at_rest.increments[1] = entry("b", place, 2)

        assert found(order.broken_sequences, ([], at_rest))

    def test_a_result_that_does_not_follow_is_found(self) -> None:
        at_rest = ledger("a", "b")
        at_rest.increments[1] = entry("b", 2, 3)

        assert found(order.broken_sequences, ([], at_rest))

    def test_a_counter_that_says_something_else_is_found(self) -> None:
        at_rest = ledger("a")
        at_rest.counters[COUNTER] = Counter(KEEPER, 2, 1)

        assert found(order.broken_sequences, ([], at_rest))

    def test_a_counter_that_says_something_and_has_no_ledger_is_found(self) -> None:
        at_rest = ledger()
        at_rest.counters[COUNTER] = Counter(KEEPER, 1, 1)

        assert found(order.broken_sequences, ([], at_rest))

    def test_a_result_other_than_the_client_was_told_is_found(self) -> None:
        assert found(order.broken_sequences, ([increment("a", 1, result=2)], ledger("a")))


class TestTickets:
    def test_who_came_behind_another_and_has_a_place_before_is_found(self) -> None:
        exchanges = [increment("a", 1), increment("b", 2)]

        assert found(order.unordered_tickets, (exchanges, ledger("b", "a")))
        assert not found(order.unordered_tickets, (exchanges, ledger("a", "b")))

    def test_those_who_came_together_may_have_either_place(self) -> None:
        exchanges = [increment("a", 1), increment("b", 1.2)]

        assert not found(order.unordered_tickets, (exchanges, ledger("b", "a")))

    def test_a_value_that_goes_back_is_found(self) -> None:
        exchanges = [increment("a", 1), read(1, 2), read(0, 3)]

        assert found(order.unordered_tickets, (exchanges, ledger("a")))

    def test_a_value_read_before_its_increment_was_sent_is_found(self) -> None:
        exchanges = [increment("a", 1), read(2, 2), increment("b", 3)]

        assert found(order.unordered_tickets, (exchanges, ledger("a", "b")))

    def test_a_value_between_two_places_is_found(self) -> None:
        at_rest = ledger("a")
        at_rest.increments = [entry("a", 1, 2, amount=2)]

        for value in (1, 3):
            exchanges = [increment("a", 1, amount=2), read(value, 2)]
            assert found(order.unordered_tickets, (exchanges, at_rest))
        assert not found(order.unordered_tickets, ([*exchanges[:1], read(2, 2)], at_rest))

    def test_a_value_of_a_counter_without_a_ledger_is_found(self) -> None:
        assert found(order.unordered_tickets, ([read(1, 1)], ledger()))

    def test_a_value_that_misses_what_was_known_to_be_applied_is_found(self) -> None:
        exchanges = [increment("a", 1, result=1), read(0, 2)]

        assert found(order.unordered_tickets, (exchanges, ledger("a")))

    def test_one_not_known_to_be_applied_may_be_missing(self) -> None:
        exchanges = [increment("a", 1), read(0, 2, pending=1)]

        assert not found(order.unordered_tickets, (exchanges, ledger("a")))


class TestTotals:
    def test_a_total_that_ran_ahead_of_what_was_sent_is_found(self) -> None:
        exchanges = [increment("a", 1), read(1, 2, pending=1), increment("b", 3)]

        assert found(order.impossible_totals, (exchanges, ledger("a", "b")))

    def test_a_total_that_misses_what_was_acknowledged_is_found(self) -> None:
        exchanges = [increment("a", 1), read(0, 2)]

        assert found(order.impossible_totals, (exchanges, ledger("a")))

    def test_a_total_that_goes_back_is_found(self) -> None:
        attempt = unanswered("increment", COUNTER, {"key": "a", "amount": 1}, 1)
        exchanges = [attempt, read(1, 2), read(0, 3)]

        assert found(order.impossible_totals, (exchanges, ledger("a")))

    def test_reads_that_each_fit_but_not_together_are_found(self) -> None:
        """Between the reads two were sent and acknowledged, and the total grew by one."""
        late = unanswered("increment", COUNTER, {"key": "late", "amount": 1}, 0)
        exchanges = [late, read(0, 1, pending=1), increment("a", 2), increment("b", 3), read(2, 4)]

        assert found(order.impossible_totals, (exchanges, ledger("late", "a", "b")))

    def test_one_that_was_never_answered_may_come_late(self) -> None:
        late = unanswered("increment", COUNTER, {"key": "late", "amount": 1}, 0)
        exchanges = [late, read(0, 1), increment("a", 2), read(1, 3), read(2, 5)]

        assert not found(order.impossible_totals, (exchanges, ledger("late", "a")))

    @pytest.mark.parametrize("total", [-1, 2, 5])
    def test_of_mixed_amounts_a_total_that_cannot_be_is_found(self, total: int) -> None:
        """3 was acknowledged, -2 sent at the time of the read, and 5 only behind it."""
        at_rest = ledger()
        at_rest.increments = [
            entry("a", 1, 3, amount=3),
            entry("b", 2, 1, amount=-2),
            entry("c", 3, 6, amount=5),
        ]
        exchanges = [
            increment("a", 1, amount=3),
            increment("b", 2, amount=-2),
            read(0, 2.1, pending=total),
            increment("c", 3, amount=5),
        ]
        possible = total == 2

        assert bool(found(order.impossible_totals, (exchanges, at_rest))) is not possible


class TestTodos:
    def test_one_that_was_acknowledged_and_is_not_there_is_lost(self) -> None:
        world = [create(KEEPER, "first", 1)], known_as("keeper")

        assert found(todos.lost_or_overwritten, world)

    def test_one_that_was_created_twice_by_one_request_is_found(self) -> None:
        at_rest = known_as("keeper")
        at_rest.todos = {id: Todo(KEEPER, "first", 1) for id in ("id of first", "another")}

        assert found(todos.lost_or_overwritten, ([create(KEEPER, "first", 1)], at_rest))

    def test_one_that_was_acknowledged_as_two_is_found(self) -> None:
        again = create(KEEPER, "first", 2)
        again.answer = {"id": "another"}
        at_rest = known_as("keeper")
        at_rest.todos = {"id of first": Todo(KEEPER, "first", 1), "another": Todo("", "", 1)}

        assert found(todos.lost_or_overwritten, ([create(KEEPER, "first", 1), again], at_rest))

    def test_one_that_nobody_asked_for_or_that_was_refused_is_found(self) -> None:
        at_rest = known_as("keeper")
        at_rest.todos = {"id of first": Todo(KEEPER, "first", 1)}
        refused = replace(create(KEEPER, "first", 1), status=401, answer={})
        attempt = unanswered("create todo", KEEPER, {"title": "first"}, 1)

        assert found(todos.lost_or_overwritten, ([], at_rest))
        assert found(todos.lost_or_overwritten, ([refused], at_rest))
        assert not found(todos.lost_or_overwritten, ([attempt, refused], at_rest))

    def test_two_changes_of_one_version_are_found(self) -> None:
        exchanges = [write(1, "mine", 1), write(1, "theirs", 1)]

        assert found(todos.lost_or_overwritten, (exchanges, todo_at(2, "theirs")))

    def test_a_change_that_was_acknowledged_and_is_gone_is_found(self) -> None:
        exchanges = [write(1, "mine", 1), write(2, "mine again", 2)]

        assert found(todos.lost_or_overwritten, (exchanges, todo_at(2, "mine")))

    def test_a_title_that_nobody_wrote_is_found(self) -> None:
        assert found(todos.lost_or_overwritten, ([write(1, "mine", 1)], todo_at(3, "whose?")))

    def test_a_version_that_was_read_as_something_else_is_found(self) -> None:
        answer = {"version": 2, "title": "theirs"}
        exchanges = [write(1, "mine", 1), exchange("read todo", TODO, None, 2, answer=answer)]

        assert found(todos.lost_or_overwritten, (exchanges, todo_at(2, "mine")))

    def test_a_change_that_was_not_answered_may_be_there_or_not(self) -> None:
        attempt = unanswered("change todo", TODO, {"title": "later", "version": 2}, 2)
        exchanges = [write(1, "mine", 1), attempt]

        for at_rest in (todo_at(2, "mine"), todo_at(3, "later")):
            assert not found(todos.lost_or_overwritten, (exchanges, at_rest))


class TestAccounts:
    def test_a_deletion_that_did_not_end_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.deletions = [at_rest.deletions[0]._replace(state="running")]

        assert found(accounts.unfinished_deletions, (exchanges, at_rest))

    def test_a_deletion_that_was_acknowledged_and_is_not_there_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.deletions = []

        assert found(accounts.unfinished_deletions, (exchanges, at_rest))

    def test_a_deletion_that_nobody_cancelled_and_is_cancelled_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.deletions = [at_rest.deletions[0]._replace(state="cancelled")]

        assert found(accounts.unfinished_deletions, (exchanges, at_rest))

    def test_one_of_several_that_did_not_end_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.deletions = [at_rest.deletions[0]._replace(state="running"), *at_rest.deletions]

        assert found(accounts.unfinished_deletions, (exchanges, at_rest))

    def test_one_that_was_said_to_be_cancelled_and_was_done_is_found(self) -> None:
        exchanges, at_rest = departure()
        cancelled = exchange("cancel deletion", LEAVER, {}, 6)

        assert found(accounts.unfinished_deletions, ([*exchanges, cancelled], at_rest))

    def test_one_that_was_cancelled_and_has_deleted_something_is_found(self) -> None:
        exchanges, at_rest = return_()
        at_rest.deletions = [Deletion(KEEPER, "cancelled", {"todos": 1, "counter": 0})]

        assert found(accounts.wrong_certificates, (exchanges, at_rest))

    def test_an_account_that_outlives_its_deletion_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.users[LEAVER] = User("leaver", True)

        assert found(accounts.unfinished_deletions, (exchanges, at_rest))

    def test_a_missing_tombstone_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.owners["todos"][LEAVER] = Owner("leaver", False, 2)

        assert found(accounts.unfinished_deletions, (exchanges, at_rest))

    @pytest.mark.parametrize("says", [1, 3])
    def test_a_certificate_of_too_few_or_too_many_is_found(self, says: int) -> None:
        exchanges, at_rest = departure()
        at_rest.deletions = [Deletion(LEAVER, "done", {"todos": says, "counter": 2})]
        at_rest.owners["todos"][LEAVER] = Owner("", True, says)

        assert found(accounts.wrong_certificates, (exchanges, at_rest))

    def test_a_certificate_that_is_not_what_the_app_counted_is_found(self) -> None:
        exchanges, at_rest = departure()
        at_rest.owners["todos"][LEAVER] = Owner("", True, 1)

        assert found(accounts.wrong_certificates, (exchanges, at_rest))

    def test_a_todo_that_was_asked_for_twice_counts_once(self) -> None:
        exchanges, at_rest = departure()
        again = create(LEAVER, "second", 3)
        at_rest.deletions = [Deletion(LEAVER, "done", {"todos": 3, "counter": 2})]
        at_rest.owners["todos"][LEAVER] = Owner("", True, 3)

        assert found(accounts.wrong_certificates, ([*exchanges, again], at_rest))

    def test_what_was_not_answered_may_be_in_the_certificate_or_not(self) -> None:
        exchanges, at_rest = departure()
        attempt = unanswered("create todo", LEAVER, {"title": "third"}, 4)

        for says in (2, 3):
            at_rest.deletions = [Deletion(LEAVER, "done", {"todos": says, "counter": 2})]
            at_rest.owners["todos"][LEAVER] = Owner("", True, says)
            assert not found(accounts.wrong_certificates, ([*exchanges, attempt], at_rest))

    def test_rows_without_their_user_are_orphans(self) -> None:
        at_rest = AtRest(
            users={KEEPER: User("keeper", False)},
            owned={"todos_todo": [LEAVER, KEEPER], "counter_counter": [LEAVER]},
            increments=[entry("a", 1, 1)],
        )

        assert len(found(accounts.orphans, ([], at_rest))) == 3

    @pytest.mark.parametrize("user", [None, User("keeper", True)])
    def test_an_account_that_was_told_to_be_back_and_is_not_is_found(
        self, user: User | None
    ) -> None:
        exchanges, at_rest = return_()
        at_rest.users = {KEEPER: user} if user else {}

        assert found(accounts.lost_accounts, (exchanges, at_rest))

    def test_a_counter_of_who_stayed_that_is_gone_is_found(self) -> None:
        exchanges, at_rest = return_()
        sent = {"owner": KEEPER, "name": "theirs"}
        made = exchange("create counter", "theirs", sent, 1, answer={"id": COUNTER})

        assert found(accounts.lost_accounts, ([*exchanges, made], at_rest))

    def test_a_tombstone_of_who_stayed_is_found(self) -> None:
        exchanges, at_rest = return_()
        at_rest.owners["todos"][KEEPER] = Owner("", True, 0)

        assert found(accounts.lost_accounts, (exchanges, at_rest))

    def test_todos_of_who_came_back_are_not_lost_unseen(self) -> None:
        exchanges, at_rest = return_()
        at_rest.todos = {}

        assert found(todos.lost_or_overwritten, (exchanges, at_rest))


class TestRenames:
    def test_one_that_was_acknowledged_and_did_not_last_is_found(self) -> None:
        exchanges = [rename("robin", 1), rename("redbreast", 2)]

        assert found(accounts.lost_renames, (exchanges, known_as("robin")))

    def test_one_that_did_not_arrive_is_found(self) -> None:
        at_rest = known_as("robin", todos="wren")

        assert found(accounts.lost_renames, ([rename("robin", 1)], at_rest))

    def test_one_that_was_not_answered_may_come_late(self) -> None:
        exchanges = [unanswered("rename", KEEPER, {"username": "wren"}, 1), rename("robin", 2)]

        for name in ("wren", "robin"):
            assert not found(accounts.lost_renames, (exchanges, known_as(name)))


class TestAnswers:
    def test_an_error_of_the_program_is_found_and_being_away_is_none(self) -> None:
        fine = increment("a", 1)
        away, broken = (replace(fine, status=status) for status in (503, 500))

        assert not found(answers.wrong_answers, ([away], AtRest()))
        assert found(answers.wrong_answers, ([broken], AtRest()))

    def test_a_refusal_to_somebody_who_was_not_to_go_is_found(self) -> None:
        exchanges, at_rest = departure()
        refused = replace(create(LEAVER, "third", 6), status=401)

        assert not found(answers.wrong_answers, ([*exchanges, refused], at_rest))
        stays = [each for each in exchanges if each.what != "delete account"]
        assert found(answers.wrong_answers, ([*stays, refused], at_rest))

    @pytest.mark.parametrize("what", ["create counter", "list counters"])
    def test_somebody_who_goes_may_be_refused_a_counter(self, what: str) -> None:
        exchanges, at_rest = departure()
        counter = {"owner": LEAVER, "name": "another"}
        refused = exchange(what, "another", counter, 6, status=401)

        assert not found(answers.wrong_answers, ([*exchanges, refused], at_rest))
        stays = [each for each in exchanges if each.what != "delete account"]
        assert found(answers.wrong_answers, ([*stays, refused], at_rest))

    @pytest.mark.parametrize(
        ("status", "code", "faults"), [(412, "", 0), (429, "", 0), (403, "", 1)]
    )
    def test_later_or_too_late_is_no_refusal(self, status: int, code: str, faults: int) -> None:
        answered = replace(write(1, "mine", 1), status=status, answer={"code": code})

        assert len(found(answers.wrong_answers, ([answered], todo_at(2, "theirs")))) == faults
