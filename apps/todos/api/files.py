"""All of one's own todos, to be taken away and brought back."""

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import IO, Any, NamedTuple

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.todos.api.lines import Entry, as_csv, as_json, read_csv, read_json
from apps.todos.api.serializers import (
    ImportedSerializer,
    ImportedTodoSerializer,
    TodoSerializer,
    moment,
)
from apps.todos.models import Todo
from apps.todos.operations.importing import Line, import_todos
from apps.todos.queries.own import iterate_own
from kit.api.viewers import viewer_of
from kit.errors import Invalid, TooMany

TOLD_LINES = 100
READ_BYTES = 64 * 1024
IN_MEMORY_BYTES = 1024 * 1024
READERS = {
    "application/json": read_json,
    "application/x-ndjson": read_json,
    "text/csv": read_csv,
}
BROKEN = OpenApiParameter(
    "broken",
    str,
    enum=["refuse", "skip"],
    default="refuse",
    description="Where a line is broken: let nothing in (400, each line by its number), or "
    "everything else. A file is refused as a whole if a thousand of its lines are no JSON, or if "
    "it has more todos than an account may.",
)


class CSVRenderer(BaseRenderer):
    """Named only, so that it can be asked for: what is sent is not held as a whole."""

    media_type = "text/csv"
    format = "csv"


@extend_schema(tags=["Todos"])
class ExportView(APIView):
    """All of your own todos, as a file."""

    renderer_classes = [JSONRenderer, CSVRenderer]

    def get_renderers(self) -> list[BaseRenderer]:
        """What OPTIONS tells is no list of todos, and has no lines."""
        return [JSONRenderer()] if self.request.method == "OPTIONS" else super().get_renderers()

    @extend_schema(
        responses={
            (200, "application/json"): TodoSerializer(many=True),
            (200, "text/csv"): OpenApiTypes.STR,
        }
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """All of your own todos, those in the trash too, the oldest first.

        JSON, or CSV with `?format=csv`. In JSON each todo has a line of its own.
        """
        renderer = request.accepted_renderer
        todos = iterate_own(viewer_of(request).user_id)
        lines = as_csv(todos) if renderer.format == "csv" else as_json(todos)
        return StreamingHttpResponse(
            lines,
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="todos.{renderer.format}"'},
        )


class UploadSerializer(serializers.Serializer):
    file = serializers.FileField(help_text="JSON, or CSV if its name ends so.")


@extend_schema(tags=["Todos"])
class ImportView(GenericAPIView[Todo]):
    """Brings in todos from a file, as they are exported, or written by hand."""

    parser_classes = [MultiPartParser]  # for a form; other bodies are read here
    serializer_class = UploadSerializer

    @extend_schema(
        parameters=[BROKEN],
        request={
            "application/json": OpenApiTypes.STR,
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": UploadSerializer,
        },
        responses={200: OpenApiResponse(ImportedSerializer)},
    )
    def post(self, request: Request) -> Response:
        """Adds the todos of a file: JSON (an array, or an object to a line) or CSV, with commas
        or semicolons between, as between the names of the columns.

        Each once, however often it is sent: a todo is known by its `id`, or where it has none by
        all that is said of it. What is known is not changed.
        """
        at_once = _refuses_broken(request)
        owner_id = viewer_of(request).user_id
        with _received(request) as file, _spool() as kept:
            found = _validate(_reader(request)(file), kept)
            if at_once and found.broken:
                raise ValidationError({_place(entry): detail for entry, detail in found.errors})
            limit = found.good if at_once else None
            added = import_todos(owner_id=owner_id, lines=_kept(kept), at_once=limit)
        told = [
            {"line": entry.line, "todo": entry.todo, "detail": detail}
            for entry, detail in found.errors
        ]
        return Response(
            {
                "added": added,
                "known": found.good - added,
                "broken": found.broken,
                "lines": told,
            }
        )


class Found(NamedTuple):
    good: int
    broken: int
    errors: list[tuple[Entry, Any]]  # the first of them


def _place(entry: Entry) -> str:
    """Where it stands in its file: the line, and of several on one line which."""
    return f"line {entry.line}" if entry.todo == 1 else f"line {entry.line}, todo {entry.todo}"


def _refuses_broken(request: Request) -> bool:
    asked = request.query_params.get("broken", "refuse")
    if asked not in ("refuse", "skip"):
        raise Invalid("This must be refuse or skip.", field="broken")
    return asked == "refuse"


def _reader(request: Request) -> Any:
    """By the media type, or by the name of the file in a form."""
    media_type = (request.content_type or "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        name = request.FILES["file"].name or ""
        return read_csv if name.lower().endswith(".csv") else read_json
    if media_type not in READERS:
        raise UnsupportedMediaType(request.content_type)
    return READERS[media_type]


def _spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)


def _received(request: Request) -> IO[bytes]:
    """The file that was sent, as a whole: nobody waits for a sender with a transaction open."""
    if (request.content_type or "").startswith(MultiPartParser.media_type):
        form = UploadSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        uploaded: IO[bytes] = form.validated_data["file"].file
        return uploaded
    file, left = _spool(), int(request.META.get("CONTENT_LENGTH") or 0)
    while left > 0 and (chunk := request.stream.read(min(left, READ_BYTES))):
        file.write(chunk)
        left -= len(chunk)
    if left:
        raise ValidationError("The body ended before it was complete.")
    file.seek(0)
    return file


def _validate(entries: Iterator[Entry], kept: IO[bytes]) -> Found:
    """Write the good ones to `kept`, and tell of the others.

    Raises TooMany for more than an account may have, which are not looked at.
    """
    serializer = ImportedTodoSerializer()
    good, broken = 0, 0
    errors: list[tuple[Entry, Any]] = []
    for entry in entries:
        if good + broken == settings.TODOS_PER_ACCOUNT:
            raise TooMany
        try:
            if entry.broken:
                raise ValidationError(entry.broken)
            line = _line(serializer.run_validation(entry.data))
        except ValidationError as error:
            broken += 1
            if len(errors) < TOLD_LINES:
                errors.append((entry._replace(data={}), error.detail))  # what it said is not held
            continue
        good += 1
        kept.write(json.dumps(line, default=moment).encode() + b"\n")
    kept.seek(0)
    return Found(good, broken, errors)


def _line(fields: dict[str, Any]) -> Line:
    identity = fields.pop("id", None)
    if identity is None:
        said = json.dumps(fields, default=moment, sort_keys=True)
        identity = sha256(said.encode()).hexdigest()
    if deleted_at := fields.get("deleted_at"):  # later, the sweep would never come to it
        fields["deleted_at"] = min(deleted_at, timezone.now())
    completed = fields.pop("completed", None)
    if completed is False:
        fields["completed_at"] = None
    elif completed and not fields.get("completed_at"):
        fields.pop("completed_at", None)
        fields["completed"] = True
    return Line(identity, fields)


def _kept(file: IO[bytes]) -> Iterator[Line]:
    for text in file:
        identity, fields = json.loads(text)
        for name in fields.keys() & TIMES:
            if fields[name] is not None:
                fields[name] = datetime.fromisoformat(fields[name])
        yield Line(identity, fields)


TIMES = {"due_at", "completed_at", "created_at", "updated_at", "deleted_at"}
