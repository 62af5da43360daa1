"""Deletions over HTTP: asked for, watched, and left as a certificate."""

import uuid
from functools import partial

import pytest
from django.test import Client
from django.utils import timezone

from apps.users import public as users
from apps.users.models import Deletion, Session, Token, User
from tasks import cascade
from tests.clients import anonymous, client_of
from tests.factories import PASSWORD, UserFactory
from tests.people import EVERYWHERE, settle
from tests.racing import race
from tests.users.deleting import delete, sign_in, watch

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

STEPS = ["todos", "counter"]


class TestDeleteUser:
    def test_answers_with_a_deletion_to_watch(self) -> None:
        ada = UserFactory.create()

        response = delete(ada)

        body = response.json()
        assert response.status_code == 202
        assert response["Location"] == f"/api/deletions/{body['id']}/"
        assert body.keys() == {
            "id",
            "user_id",
            "state",
            "requested_at",
            "starts_at",
            "finished_at",
            "progress",
            "rows_left",
            "rows_per_second",
            "seconds_left",
            "steps",
            "certificate",
        }
        assert body["user_id"] == str(ada.id)
        assert (body["state"], body["progress"]) == ("scheduled", 0)
        assert body["starts_at"] == body["requested_at"]
        assert (body["finished_at"], body["certificate"]) == (None, None)
        assert body["steps"] == [
            {
                "app": app,
                "state": "pending",
                "deleted": 0,
                "total": None,
                "started_at": None,
                "finished_at": None,
                "retry_at": None,
            }
            for app in STEPS
        ]

    def test_lets_nobody_in_any_more(self) -> None:
        ada = UserFactory.create(username="ada", password=PASSWORD)
        token, browser = client_of(ada), Client()
        browser.force_login(ada)
        assert token.get("/api/users/me/").status_code == 200
        assert browser.get("/api/users/me/").status_code == 200
        assert sign_in("ada", PASSWORD) == 201

        delete(ada)

        assert token.get("/api/users/me/").status_code == 401
        assert browser.get("/api/users/me/").status_code == 401
        assert sign_in("ada", PASSWORD) == 401
        assert Session.objects.count() == Token.objects.count() == 0

    def test_is_in_the_feed_at_once(self) -> None:
        ada = UserFactory.create()
        before = users.feed_head()

        delete(ada)

        assert [change.user_id for change in users.changes_after(before, limit=9)] == [ada.id]

    def test_can_be_watched_with_the_token_that_it_revoked(self) -> None:
        ada = UserFactory.create()
        client = client_of(ada)

        deletion = client.delete(f"/api/users/{ada.id}/").json()

        assert client.get(f"/api/deletions/{deletion['id']}/").json() == deletion

    def test_repeated_by_staff_is_the_same_deletion(self) -> None:
        ada, staff = UserFactory.create(), client_of(UserFactory.create(is_staff=True))
        deletion = delete(ada).json()

        repeated = staff.delete(f"/api/users/{ada.id}/")

        assert (repeated.status_code, repeated.json()) == (202, deletion)
        assert Deletion.objects.count() == 1

    @pytest.mark.django_db(databases=["default"], transaction=True)
    def test_asked_for_twice_at_once_is_one_deletion(self) -> None:
        ada = UserFactory.create()
        clients = [client_of(UserFactory.create(is_staff=True)) for _ in range(2)]

        answers = race(*[partial(client.delete, f"/api/users/{ada.id}/") for client in clients])

        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].json()["id"] == answers[1].json()["id"]

    def test_is_for_the_user_and_staff(self) -> None:
        ada, other = UserFactory.create(), UserFactory.create()

        assert client_of(other).delete(f"/api/users/{ada.id}/").status_code == 404
        assert anonymous().delete(f"/api/users/{ada.id}/").status_code == 401
        assert Deletion.objects.count() == 0


@pytest.mark.django_db(databases=EVERYWHERE, transaction=True)
class TestDeletion:
    def test_leaves_a_certificate(self) -> None:
        ada = settle("ada")
        deletion = delete(User.objects.get(id=ada.id)).json()

        while cascade.advance_deletions():
            pass

        done = watch(deletion)
        assert (done["state"], done["progress"]) == ("done", 1)
        assert [(step["app"], step["state"], step["deleted"]) for step in done["steps"]] == [
            ("todos", "done", 5),
            ("counter", "done", 6),
        ]
        assert [step["total"] for step in done["steps"]] == [5, 6]
        moments = ("started_at", "finished_at")
        for step in done["steps"]:
            times = [done["requested_at"], *map(step.get, moments), done["finished_at"]]
            assert all(times)
            assert times == sorted(times)
        assert done["certificate"] == {
            "deleted": {"todos": 5, "counter": 6},
            "orphans": 0,
            "verified_at": done["finished_at"],
        }
        assert not User.objects.filter(id=ada.id).exists()

    @pytest.mark.usefixtures("small_chunks")
    def test_shows_how_far_it_is_and_never_goes_back(self) -> None:
        deletion, look = (
            delete(User.objects.get(id=settle("ada", rows=12).id)).json(),
            cascade.Look(),
        )

        seen = [deletion["progress"]]
        while look.work_a_round():
            seen.append(watch(deletion)["progress"])

        assert seen == sorted(seen)
        assert (seen[0], seen[-1]) == (0, 1)
        assert len({progress for progress in seen if 0 < progress < 1}) > 3

    def test_that_is_done_is_the_answer_to_staff_who_ask_again(self) -> None:
        ada, staff = UserFactory.create(), client_of(UserFactory.create(is_staff=True))
        other = client_of(UserFactory.create())
        deletion = delete(ada).json()
        cascade.advance_deletions()

        repeated = staff.delete(f"/api/users/{ada.id}/")

        assert repeated.status_code == 202
        assert repeated["Location"] == f"/api/deletions/{deletion['id']}/"
        assert repeated.json() == watch(deletion)
        assert repeated.json()["state"] == "done"
        assert other.delete(f"/api/users/{ada.id}/").status_code == 404

    def test_that_was_cancelled_is_not_the_answer(self) -> None:
        gone, staff = uuid.uuid4(), client_of(UserFactory.create(is_staff=True))
        Deletion.objects.create(user_id=gone, state="cancelled", starts_at=timezone.now())

        assert staff.delete(f"/api/users/{gone}/").status_code == 404

    @pytest.mark.parametrize("verb", ["", "cancel/", "pause/", "resume/"])
    @pytest.mark.parametrize("deletion_id", ["01980000-0000-4000-8000-000000000000", "x", "%00"])
    def test_that_never_was_is_404(self, deletion_id: str, verb: str) -> None:
        staff = client_of(UserFactory.create(is_staff=True))
        address = f"/api/deletions/{deletion_id}/{verb}"

        response = staff.post(address) if verb else staff.get(address)

        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"

    def test_leaves_no_session_that_was_begun_meanwhile(self) -> None:
        ada, browser = UserFactory.create(), Client()
        delete(ada)
        browser.force_login(ada)

        assert browser.get("/api/users/me/").status_code == 401

        cascade.advance_deletions()
        assert Session.objects.count() == 0

    def test_has_an_id_that_cannot_be_guessed(self) -> None:
        deletion = delete(UserFactory.create()).json()

        assert uuid.UUID(deletion["id"]).version == 4
