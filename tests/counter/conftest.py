"""People, their clients, and a counter."""

from uuid import UUID

import pytest
from django.test import Client as Browser
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.users.models import User
from tests.clients import client_of
from tests.conftest import Start
from tests.counter.interleaving import ACCEPTING, Pause, paused_after
from tests.factories import UserFactory


@pytest.fixture
def ada() -> User:
    return UserFactory.create(username="ada")


@pytest.fixture
def bob() -> User:
    return UserFactory.create(username="bob")


@pytest.fixture
def staff() -> User:
    return UserFactory.create(username="staff", is_staff=True, is_superuser=True)


@pytest.fixture
def admin(staff: User) -> Browser:
    """The browser of somebody who runs the service."""
    browser = Browser()
    browser.force_login(staff)
    return browser


@pytest.fixture
def api(ada: User) -> APIClient:
    """Ada's client."""
    return client_of(ada)


@pytest.fixture
def tally(ada: User) -> UUID:
    """A counter of Ada's, at 0."""
    return counter.open_counter(owner_id=ada.id, name="tally")


@pytest.fixture
def pause(ada: User, start: Start) -> Pause:
    """At which another request stops before it commits: all others gather behind it."""
    own = counter.open_counter(owner_id=ada.id, name="the first")

    def accept_and_pause() -> None:
        with paused_after(ACCEPTING, pause):
            counter.increment(counter_id=own, owner_id=ada.id)

    pause = Pause()
    start(accept_and_pause)
    pause.wait_until_reached()
    return pause
