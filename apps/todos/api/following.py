"""The feed by which a client keeps a copy of its user's todos."""

from uuid import UUID

from django.core import signing
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from apps.todos.api.serializers import ChangesSerializer
from apps.todos.queries.following import Place, get_beginning, list_changed
from kit.api.pagination import NewestFirst
from kit.api.viewers import viewer_of
from kit.errors import Invalid

SINCE = OpenApiParameter(
    "since", str, description="The `cursor` of the last answer. Without: from the beginning."
)
PAGE_SIZE = OpenApiParameter("page_size", int, description=NewestFirst.page_size_query_description)


@extend_schema(tags=["Todos"])
class ChangesView(APIView):
    """Which of your todos have changed since you last asked: ids and versions, nothing else."""

    @extend_schema(parameters=[SINCE, PAGE_SIZE], responses=ChangesSerializer)
    def get(self, request: Request) -> Response:
        """Each todo once, where it was last changed; deleted ones too.

        Whoever asks again with each answer's `cursor` misses no change, however many are made at
        the same time. 410 where that is no longer sure, because what was deleted since has left
        the trash: begin anew without a cursor, and drop what is not named.
        """
        owner_id = viewer_of(request).user_id
        size = NewestFirst().get_page_size(request)
        since = _place(request, owner_id) or get_beginning(owner_id)
        changed, place = list_changed(owner_id, since, limit=size)
        cursor = signing.dumps([place.position, str(place.id), place.floor], salt=_salt(owner_id))
        url = replace_query_param(request.build_absolute_uri(), "since", cursor)
        results = [
            {"id": str(each.id), "version": each.version, "deleted": each.deleted}
            for each in changed
        ]
        return Response(
            {
                "next": url if len(changed) == size else None,
                "previous": None,
                "results": results,
                "cursor": cursor,
            }
        )


def _place(request: Request, owner_id: UUID) -> Place | None:
    """Raises Invalid for a cursor that this person was not given."""
    cursor = request.query_params.get("since")
    if not cursor:
        return None
    try:
        position, todo_id, floor = signing.loads(cursor, salt=_salt(owner_id))
    except signing.BadSignature:
        raise Invalid("This is no cursor of yours.", field="since") from None
    return Place(position, UUID(todo_id), floor)


def _salt(owner_id: UUID) -> str:
    return f"todos.changes {owner_id}"
