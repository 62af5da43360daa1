"""Clients of the API, as somebody or as nobody."""

import json
from typing import Any

from rest_framework.test import APIClient

from apps.users.models import User
from apps.users.operations.signing_in import issue_token


def client_of(user: User) -> APIClient:
    """Signed in with a bearer token of this user."""
    _, secret = issue_token(user_id=user.id)
    return APIClient(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def send_json(client: APIClient, method: str, path: str, body: Any) -> Any:
    """Send any JSON whatever, also `null` and what is no text, which `client.post` cannot."""
    return client.generic(method, path, json.dumps(body), content_type="application/json")


def anonymous() -> APIClient:
    return APIClient(raise_request_exception=False)
