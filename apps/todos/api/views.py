"""Todos over HTTP: translates, then makes one call inward."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
)
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from apps.todos.api.filters import TodoFilters, asked_for
from apps.todos.api.keys import key_of
from apps.todos.api.serializers import (
    TodoReplacementSerializer,
    TodoSerializer,
    fields_of_new,
    represent,
)
from apps.todos.errors import TodoChanged, TodoNotYours
from apps.todos.models import Todo
from apps.todos.operations.writing import change_todo, create_todo, delete_todo, restore_todo
from apps.todos.queries.listing import Listed, list_todos, order_of
from apps.todos.queries.reading import get_todo, may_change
from kit.api.bodies import answered, data_of
from kit.api.conditional import etag, expected_version, tagged
from kit.api.pagination import NewestFirst
from kit.api.viewers import viewer_of

ETAG = OpenApiParameter(
    "ETag",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    response=[200, 201],
    description="Of the todo as it is shown.",
)
LOCATION = OpenApiParameter(
    "Location",
    OpenApiTypes.URI_REF,
    OpenApiParameter.HEADER,
    response=[201],
    description="The new todo's address.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of what you have already.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of what you mean to change. If it has changed since: 412, with the "
    "todo as it is now under `current`.",
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    pattern=r"^[!-~]{1,255}$",
    description="Sent again with the same key, the same request gets the first answer and creates "
    "nothing; another one gets 422, and one whose first is still being worked on 409. Kept as "
    "long as the todo, and 30 days longer.",
)
NOT_MODIFIED = OpenApiResponse(description="You have it already.")


class TellsWhatIsCurrent(APIView):
    """A view that tells who came too late what the todo is by now."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, TodoChanged):
            exc.context["current"] = TodoSerializer(exc.context["current"]).data
        return super().handle_exception(exc)


class OnlyItsOwnerChangesIt(BasePermission):
    message = TodoNotYours().message

    def has_object_permission(self, request: Request, view: APIView, todo: Todo) -> bool:
        return request.method in SAFE_METHODS or may_change(todo, viewer_of(request))


@extend_schema(tags=["Todos"])
class TodoViewSet(TellsWhatIsCurrent, GenericViewSet[Todo]):
    """What people have to do: your own todos, and those that others made public."""

    permission_classes = [IsAuthenticated, OnlyItsOwnerChangesIt]
    queryset = Todo.objects.none()  # for the schema, and the form of the filters
    filterset_class = TodoFilters
    paginator: NewestFirst
    deleted: Sequence[Listed] = ()  # what a list of the trash shows
    lookup_field = "id"
    lookup_value_converter = "uuid"

    def get_object(self) -> Todo:
        todo = get_todo(self.kwargs["id"], viewer_of(self.request))
        self.check_object_permissions(self.request, todo)
        return todo

    @property
    def links(self) -> list[tuple[str, str]]:
        """Where a person can go from a page of the browsable API."""
        if "id" in self.kwargs:
            return [("What became of it", reverse("todo-history", args=[self.kwargs["id"]]))]
        if self.deleted:
            return [
                (f"Restore “{row.title}”", reverse("todo-restore", args=[row.id]))
                for row in self.deleted
            ]
        export = reverse("todo-export")
        return [
            ("Trash", f"{reverse('todo-list')}?deleted=true"),
            ("Tags", reverse("todo-tags")),
            ("Categories", reverse("todo-categories")),
            ("Changes", reverse("todo-changes")),
            ("Many at once", reverse("todo-bulk")),
            ("Export as JSON", export),
            ("as CSV", f"{export}?format=csv"),
            ("Import", reverse("todo-import")),
        ]

    def get_serializer_class(self) -> type[TodoSerializer]:
        return TodoReplacementSerializer if self.action == "update" else TodoSerializer

    def list(self, request: Request) -> HttpResponseBase:
        """Your own todos and others' public ones; staff see all."""
        wanted = asked_for(request.query_params)
        ordering = wanted.pop("ordering", [])
        order = order_of(ordering, searched="search" in wanted)
        find = partial(list_todos, viewer_of(request), wanted, order)
        rows = self.paginator.paginate(request, f"todos {ordering}", find, order.position_of)
        if wanted.get("deleted"):
            self.deleted = rows
        return answered(request, self.paginator.page_of([represent(row) for row in rows]))

    @extend_schema(parameters=[IDEMPOTENCY_KEY, ETAG, LOCATION])
    def create(self, request: Request) -> HttpResponseBase:
        """Creates a todo of your own. 409 for an account that is being deleted."""
        fields = self._fields_of_new(data_of(request))
        todo = create_todo(owner_id=viewer_of(request).user_id, key=key_of(request), **fields)
        return self._shown(
            todo,
            status=status.HTTP_201_CREATED,
            headers={"Location": f"{address_of_todos()}{todo.id}/"},
        )

    @extend_schema(
        parameters=[IF_NONE_MATCH, ETAG], responses={200: TodoSerializer, 304: NOT_MODIFIED}
    )
    def retrieve(self, request: Request, id: UUID) -> HttpResponseBase:
        """Shows one todo."""
        return self._shown(self.get_object())

    @extend_schema(parameters=[IF_MATCH, ETAG], responses=TodoSerializer)
    def update(self, request: Request, id: UUID) -> HttpResponseBase:
        """Replaces a todo. Needs an If-Match, or the version in the body: 428 without either."""
        return self._change(request, partial=False)

    @extend_schema(parameters=[IF_MATCH, ETAG])
    def partial_update(self, request: Request, id: UUID) -> HttpResponseBase:
        """Changes the fields given. Without If-Match the last writer of a field wins."""
        return self._change(request, partial=True)

    @extend_schema(parameters=[IF_MATCH])
    def destroy(self, request: Request, id: UUID) -> Response:
        """Deletes a todo. It stays in the trash for 30 days, from where it can be restored."""
        todo = self.get_object()
        version = expected_version(request)
        delete_todo(todo_id=id, viewer=viewer_of(request), version=version, owner_id=todo.owner_id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, parameters=[IF_MATCH, ETAG], responses=TodoSerializer)
    def restore(self, request: Request, id: UUID) -> HttpResponseBase:
        """Brings a todo back from the trash. 409 for one that is not there."""
        version = expected_version(request)
        return self._shown(restore_todo(todo_id=id, viewer=viewer_of(request), version=version))

    def _fields_of_new(self, data: Any) -> dict[str, Any]:
        fields = fields_of_new(data)
        if fields is None:  # a form, or what is refused, which a page's form tells at each field
            serializer = self.get_serializer(data=data)
            serializer.is_valid(raise_exception=True)
            fields = dict(serializer.validated_data)
        return fields

    def _change(self, request: Request, *, partial: bool) -> HttpResponseBase:
        known = self.get_object()
        serializer = self.get_serializer(known, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        fields = serializer.validated_data
        version = expected_version(
            request, in_body=fields.pop("version", None), required=not partial
        )
        todo = change_todo(
            todo_id=known.id,
            viewer=viewer_of(request),
            version=version,
            owner_id=known.owner_id,
            **fields,
        )
        return self._shown(todo)

    def _shown(self, todo: Todo, **how: Any) -> HttpResponseBase:
        if self.request.accepted_renderer.format == JSONRenderer.format:
            return shown(self.request, todo, represent(todo), **how)
        return shown(self.request, todo, self.get_serializer(todo).data, **how)  # for its form


def shown(
    request: Request,
    todo: Todo,
    data: Any,
    *,
    status: int = status.HTTP_200_OK,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HttpResponseBase:
    """The todo, with its tag. The owner's name changes without its version, so it is part of it."""
    response = answered(request, data, status=status, headers=headers)
    return tagged(request, response, etag(todo.version, todo.username))


@cache
def address_of_todos() -> str:
    """Reversed once: to reverse each todo's takes as long as to check it."""
    return reverse("todo-list")
