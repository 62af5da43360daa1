"""The API's schema as it is served: made once, the same for everybody."""

import threading
from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

_making = threading.Lock()


def schema() -> Any:
    """It takes a while to make, and no two threads may at a time: each would fail."""
    with _making:
        return _schema()


@cache
def _schema() -> Any:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


@cache
def _written(renderer: type[BaseRenderer]) -> str | bytes:
    return renderer().render(schema(), renderer_context={})


class Schema(SpectacularAPIView):
    """drf-spectacular's, which makes it for each request, and puts a `version` from the query into
    a header."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        renderer = request.accepted_renderer
        return HttpResponse(
            _written(type(renderer)),  # type: ignore[arg-type]  # a class can be hashed
            content_type=f"{renderer.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'inline; filename="epis.{renderer.format}"'},
        )
