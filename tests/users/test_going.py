"""What an account leaves behind that is deleted while it is being used."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.signals import user_logged_in
from django.contrib.contenttypes.models import ContentType
from django.test import RequestFactory
from django.utils import timezone

from apps.users.models import Session, User
from apps.users.operations.deletions import request_deletion
from apps.users.operations.signing_in import clear_expired_sign_ins
from tasks import cascade
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)


class TestGoing:
    def test_signing_in_to_an_account_that_is_just_gone_is_no_fault(self) -> None:
        user = User.objects.create(username="leaver")
        User.objects.filter(id=user.id).delete()

        user_logged_in.send(User, request=RequestFactory().get("/"), user=user)

        assert not User.objects.exists()

    def test_signing_in_is_noted(self) -> None:
        user = User.objects.create(username="someone")

        user_logged_in.send(User, request=RequestFactory().get("/"), user=user)

        assert User.objects.get().last_login is not None

    def test_a_session_that_came_too_late_is_cleared(self) -> None:
        later = timezone.now() + timedelta(days=1)
        stayer = User.objects.create(username="stayer")
        Session.objects.create(session_key="late", user_id=uuid.uuid4(), expire_date=later)
        Session.objects.create(session_key="live", user_id=stayer.id, expire_date=later)
        Session.objects.create(session_key="nobody", user_id=None, expire_date=later)

        clear_expired_sign_ins()

        assert set(Session.objects.values_list("session_key", flat=True)) == {"live", "nobody"}

    def test_the_admins_log_forgets_the_name(self) -> None:
        operator = User.objects.create(username="operator", is_staff=True)
        leaver = User.objects.create(username="leaver")
        LogEntry.objects.create(
            user=operator,
            content_type=ContentType.objects.get_for_model(User),
            object_id=str(leaver.id),
            object_repr="leaver",
            action_flag=CHANGE,
        )

        request_deletion(user_id=leaver.id)
        while cascade.advance_deletions():
            pass

        assert LogEntry.objects.get().object_repr == str(leaver.id)
