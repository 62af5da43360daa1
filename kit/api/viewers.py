"""Who asks, as the apps' queries and operations want to know it."""

from typing import cast
from uuid import UUID

from rest_framework.authentication import get_authorization_header
from rest_framework.request import Request

from kit.directory import Bearer, Viewer


def viewer_of(request: Request) -> Viewer:
    """The signed-in user of the request. For views that let nobody else in."""
    user = request.user
    return Viewer(user_id=cast(UUID, user.pk), is_staff=user.is_staff)


def bearer_of(request: Request) -> Bearer | None:
    """Who bears the token of `Authorization: Bearer <token>` (RFC 6750), if it has one."""
    scheme, _, token = get_authorization_header(request).partition(b" ")
    return Bearer(token.strip().decode("latin-1")) if scheme.lower() == b"bearer" else None
