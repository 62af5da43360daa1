"""Many todos in one request, all of them or none."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.todos.api.serializers import BulkResultSerializer, BulkSerializer, TodoSerializer
from apps.todos.api.views import TellsWhatIsCurrent
from apps.todos.operations.bulk import Edit, write_todos
from kit.api.viewers import viewer_of


@extend_schema(tags=["Todos"])
class BulkView(TellsWhatIsCurrent, APIView):
    """Many at once: `create`, `update` and `delete` take lists, up to 1,000 todos in all."""

    @extend_schema(request=BulkSerializer, responses=BulkResultSerializer)
    def post(self, request: Request) -> Response:
        """Does all of it or nothing.

        What cannot be done is named by its place, such as `update[3].title`. A version that no
        longer holds: 412, with its place under `item` and the todo as it is now under `current`.
        """
        serializer = BulkSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        asked = serializer.validated_data
        edits = [
            Edit(id=fields.pop("id"), version=fields.pop("version", None), fields=fields)
            for fields in asked.get("update", [])
        ]
        todos = write_todos(
            viewer=viewer_of(request),
            create=asked.get("create", []),
            update=edits,
            delete=asked.get("delete", []),
        )
        return Response({"results": TodoSerializer(todos, many=True).data})
