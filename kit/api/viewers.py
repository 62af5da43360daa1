"""Who asks, as the apps' queries and operations want to know it."""

from uuid import UUID

from rest_framework.request import Request

from kit.directory import Viewer


def viewer_of(request: Request) -> Viewer:
    """The signed-in user of the request. For views that let nobody else in."""
    user_id: UUID = request.user.pk
    return Viewer(user_id=user_id, is_staff=request.user.is_staff)
