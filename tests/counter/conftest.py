"""People, their clients, and a counter."""

from uuid import UUID

import pytest
from django.test import Client as Browser
from rest_framework.test import APIClient

from apps.counter import public as counter
from apps.users.models import User
from tests.clients import client_of
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
