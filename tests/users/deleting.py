"""Deletions asked for, watched and steered over HTTP."""

from typing import Any

from apps.users.models import User
from tests.clients import anonymous, client_of


def delete(user: User) -> Any:
    return client_of(user).delete(f"/api/users/{user.id}/")


def watch(deletion: Any) -> Any:
    return anonymous().get(f"/api/deletions/{deletion['id']}/").json()


def steer(client: Any, deletion: Any, verb: str) -> Any:
    return client.post(f"/api/deletions/{deletion['id']}/{verb}/")


def sign_in(username: str, password: str) -> int:
    """The status of the answer."""
    body = {"username": username, "password": password}
    return anonymous().post("/api/auth/tokens/", body).status_code
