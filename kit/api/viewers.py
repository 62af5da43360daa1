"""Who asks, as the apps' queries and operations want to know it."""

from typing import cast
from uuid import UUID

from rest_framework.request import Request

from kit.directory import Viewer


def viewer_of(request: Request) -> Viewer:
    """The signed-in user of the request. For views that let nobody else in."""
    user = request.user
    return Viewer(user_id=cast(UUID, user.pk), is_staff=user.is_staff)
