"""Which parser and which renderer a request gets.

As DRF chooses them, but that takes every media type apart for each request. What most clients
send names one exactly, or leaves the choice to us. (A view with a parser for `*/*` before the one
that is named would find the named one; there is none.)
"""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.settings import api_settings

ANYTHING = "*/*"


class Negotiation(DefaultContentNegotiation):
    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> Any:
        parsers = list(parsers)
        for parser in parsers:
            if parser.media_type == request.content_type:
                return parser
        return super().select_parser(request, parsers)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> Any:
        renderers = list(renderers)
        first = renderers[0]
        accepted = request.META.get("HTTP_ACCEPT", ANYTHING)
        is_plain = accepted in (ANYTHING, first.media_type) and not format_suffix
        if is_plain and not (
            request.META.get("QUERY_STRING")
            and api_settings.URL_FORMAT_OVERRIDE in request.query_params
        ):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
