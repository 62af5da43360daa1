"""Who sends an increment is looked up together with who does so at the same time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from apps.counter import accepting
from apps.counter import public as counter
from apps.counter.models import Increment
from apps.users.models import Token, User
from apps.users.operations.signing_in import issue_token, revoke_token
from kit.ids import new_id
from tests.clients import anonymous, client_of
from tests.conftest import Start
from tests.counter.interleaving import Pause
from tests.kit.gathering import wait_until_gathered

pytestmark = pytest.mark.django_db(databases=["default", "counter"], transaction=True)

LOOK_UP = "FROM users_token"


def send(token: str, counter_id: UUID, body: Any = None, **headers: str) -> Any:
    return anonymous().post(
        f"/api/counters/{counter_id}/increments/",
        {} if body is None else body,
        headers={"Authorization": f"Bearer {token}", **headers},
    )


def token_of(user: User) -> str:
    return issue_token(user_id=user.id)[1]


def revoked(user: User) -> str:
    token, secret = issue_token(user_id=user.id)
    revoke_token(token_id=token.id, user_id=user.id)
    return secret


def expired(user: User) -> str:
    token, secret = issue_token(user_id=user.id)
    Token.objects.filter(id=token.id).update(expires_at=timezone.now())
    return secret


def of_a_closed_account(user: User) -> str:
    secret = token_of(user)
    User.objects.filter(id=user.id).update(closed_at=timezone.now())
    return secret


def of_an_inactive_account(user: User) -> str:
    secret = token_of(user)
    User.objects.filter(id=user.id).update(is_active=False)
    return secret


def made_up(user: User) -> str:
    return "epis_made-up"


@contextmanager
def look_ups(answer: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    """The look-ups of tokens that this thread makes; `answer` is called before each."""
    made: list[str] = []

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if LOOK_UP in sql:
            made.append(sql)
            answer()
        return execute(sql, *rest)

    with connections["default"].execute_wrapper(wrapper):
        yield made


class TestOne:
    def test_costs_one_look_up(self, ada: User, tally: UUID) -> None:
        token = token_of(ada)
        assert send(token, tally).status_code == 202  # notes its use

        with look_ups() as made:
            response = send(token, tally)

        assert response.status_code == 202
        assert len(made) == 1

    @pytest.mark.parametrize(
        "token", [made_up, revoked, expired, of_a_closed_account, of_an_inactive_account]
    )
    def test_of_nobody_is_refused(
        self, ada: User, tally: UUID, token: Callable[[User], str]
    ) -> None:
        assert send(token(ada), tally).status_code == 401
        assert not Increment.objects.exists()

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            ({}, {}),
            ({"amount": 0}, {}),
            ({"amount": "x"}, {}),
            ({"key": ""}, {}),
            ({"key": "k"}, {"Idempotency-Key": "l"}),
            ({}, {"Prefer": "wait=banana"}),
            ({}, {"Accept": "text/html"}),
            ([{}], {}),
            ([], {}),
        ],
        ids=str,
    )
    def test_of_nobody_is_refused_as_everywhere_whatever_else_is_wrong(
        self, ada: User, tally: UUID, body: Any, headers: dict[str, str]
    ) -> None:
        secret = made_up(ada)
        elsewhere = anonymous().get(
            "/api/counters/", headers={"Authorization": f"Bearer {secret}", **headers}
        )

        response = send(secret, tally, body, **headers)

        assert response.status_code == elsewhere.status_code == 401
        assert response["WWW-Authenticate"] == elsewhere["WWW-Authenticate"] == "Bearer"
        if "Accept" not in headers:
            assert response.json() == elsewhere.json()

    def test_of_nobody_is_not_told_what_counters_there_are(self, ada: User) -> None:
        assert send(made_up(ada), new_id()).status_code == 401

    def test_is_refused_as_soon_as_the_token_is_revoked(self, ada: User, tally: UUID) -> None:
        token, secret = issue_token(user_id=ada.id)
        assert send(secret, tally).status_code == 202

        revoke_token(token_id=token.id, user_id=ada.id)

        assert send(secret, tally).status_code == 401
        assert Increment.objects.count() == 1

    def test_notes_the_use_of_the_token_once_a_minute(self, ada: User, tally: UUID) -> None:
        token, secret = issue_token(user_id=ada.id)

        def used_at() -> Any:
            return Token.objects.get(id=token.id).last_used_at

        send(secret, tally)
        first = used_at()
        send(secret, tally)
        assert used_at() == first is not None

        Token.objects.update(last_used_at=first - timedelta(minutes=2))
        send(secret, tally)
        assert used_at() > first

    def test_does_not_wait_for_who_has_the_token_in_hand(
        self, ada: User, tally: UUID, start: Start
    ) -> None:
        """Else a transaction that froze with it would hold up a whole group."""
        token, secret = issue_token(user_id=ada.id)
        with connections["default"].cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE users_token SET name = 'new' WHERE id = %s", [token.id])
            try:
                response = start(send, secret, tally).result(timeout=4)
            finally:
                cursor.execute("ROLLBACK")

        assert response.status_code == 202

    def test_is_unavailable_while_tokens_cannot_be_looked_up(self, ada: User, tally: UUID) -> None:
        token = token_of(ada)

        def fail() -> None:
            raise OperationalError("gone")

        with look_ups(fail):
            response = send(token, tally)

        assert response.status_code == 503
        assert response["Retry-After"]
        assert not Increment.objects.exists()


class TestGroup:
    def test_is_looked_up_at_once(
        self, ada: User, bob: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        tokens = [token_of(ada) for _ in range(4)]
        for token in tokens:
            anonymous().get("/api/counters/", headers={"Authorization": f"Bearer {token}"})

        def count_look_ups(token: str) -> int:
            with look_ups() as made:
                assert send(token, tally).status_code == 202
            return len(made)

        sending = [start(count_look_ups, token) for token in tokens]
        wait_until_gathered(accepting._inbox, len(tokens))
        pause.end()

        assert sum(each.result() for each in sending) == 1

    def test_lets_each_do_what_their_own_token_allows(
        self, ada: User, bob: User, staff: User, pause: Pause, start: Start
    ) -> None:
        of = {
            user: counter.open_counter(owner_id=user.id, name="own") for user in (ada, bob, staff)
        }
        asked = [
            (token_of(ada), of[ada], 202),
            (token_of(ada), of[bob], 404),
            (made_up(ada), of[ada], 401),
            (token_of(bob), of[bob], 202),
            (token_of(bob), of[ada], 404),
            (revoked(bob), of[bob], 401),
            (token_of(staff), of[ada], 202),
            (token_of(staff), of[staff], 202),
        ]

        sending = [start(send, token, counter_id) for token, counter_id, _ in asked]
        wait_until_gathered(accepting._inbox, len(asked))
        pause.end()

        assert [each.result().status_code for each in sending] == [status for *_, status in asked]
        counted = {user: Increment.objects.filter(counter_id=of[user]).count() for user in of}
        assert counted == {ada: 2, bob: 1, staff: 1}

    def test_of_nobody_alone_is_refused(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        sending = [start(send, made_up(ada), tally) for _ in range(3)]
        wait_until_gathered(accepting._inbox, 3)
        pause.end()

        assert [each.result().status_code for each in sending] == [401] * 3

    def test_signed_in_another_way_shares_it(
        self, ada: User, tally: UUID, pause: Pause, start: Start
    ) -> None:
        """Arrays, forms and sessions are known before they come to it."""
        in_browser = client_of(ada)
        in_browser.credentials()
        in_browser.force_login(ada)

        sending = [
            start(send, token_of(ada), tally),
            start(in_browser.post, f"/api/counters/{tally}/increments/", {}),
        ]
        wait_until_gathered(accepting._inbox, 2)
        pause.end()

        assert [each.result().status_code for each in sending] == [202, 202]
