"""What became of a todo, and how it is made what it was."""

from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.todos.api.serializers import TodoSerializer, VersionSerializer
from apps.todos.api.views import ETAG, IF_MATCH, TellsWhatIsCurrent, shown
from apps.todos.models import Version
from apps.todos.operations.writing import restore_version
from apps.todos.queries.history import list_versions
from kit.api.conditional import expected_version
from kit.api.viewers import viewer_of


@extend_schema(tags=["Todos"])
class HistoryView(ListAPIView[Version]):
    """Every version of a todo: who made it, when, and which fields from what to what."""

    queryset = Version.objects.none()  # for the schema
    serializer_class = VersionSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Version]:
        return list_versions(self.kwargs["id"], viewer_of(self.request))

    @property
    def links(self) -> list[tuple[str, str]]:
        """Where a person can go from a page of the browsable API."""
        rows: list[Version] = getattr(self.paginator, "rows", [])
        return [
            (
                f"Back to version {row.version}",
                reverse("todo-restore-version", args=[row.todo_id, row.version]),
            )
            for row in rows
        ]

    @extend_schema(description="The latest first; also of a todo in the trash. Its owner's only.")
    def get(self, request: Request, id: UUID) -> Response:
        return self.list(request)


@extend_schema(tags=["Todos"])
class RestoreVersionView(TellsWhatIsCurrent, APIView):
    """Undo: makes the todo what it was in this version."""

    @extend_schema(request=None, parameters=[IF_MATCH, ETAG], responses=TodoSerializer)
    def post(self, request: Request, id: UUID, version: int) -> HttpResponseBase:
        """Makes the todo what it was in this version, as one more change."""
        todo = restore_version(
            todo_id=id,
            number=version,
            viewer=viewer_of(request),
            version=expected_version(request),
        )
        return shown(request, todo, TodoSerializer(todo).data)
