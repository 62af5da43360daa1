"""Bodies: read so that none of them is a fault of ours, and written.

DRF's own way, by the parser in the settings, serves nearly every view. For one that does next to
nothing of its own, and that all the time, `data_of` and `answered` leave out what is the same for
every request: together a tenth of what such a request costs.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any

import orjson
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ParseError
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.utils.json import strict_constant

DEEPEST = 20  # lists and objects in each other; none of those that mean anything has five
DECODER = json.JSONDecoder(parse_constant=strict_constant)
# Of what JSON has no word for, DRF says how it is written, times too.
AS_DRF_WRITES = JSONEncoder().default


class BoundedJSONParser(JSONParser):
    """JSON of characters, in UTF-8 (RFC 8259), nested no deeper than `DEEPEST`.

    DRF catches what is not JSON, but not the RecursionError of a body of "[[[[…", nor of the page
    that shows one which is not quite as deep; nor the half of a character that "\\ud800" is: an
    answer that repeats it cannot be encoded.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parse(stream.read())


def parse(body: bytes) -> Any:
    """What the JSON says. Raises ParseError."""
    try:
        text = body.decode()
        data = DECODER.decode(text)
        if "\\u" in text:  # only so can it be half a character
            json.dumps(data, ensure_ascii=False).encode()
        if text.count("[") + text.count("{") > DEEPEST and _is_too_deep(data):
            raise RecursionError
    except RecursionError:
        raise ParseError("JSON parse error - nested too deeply") from None
    except UnicodeEncodeError:
        raise ParseError("JSON parse error - a lone surrogate is no character") from None
    except ValueError as error:
        raise ParseError(f"JSON parse error - {error}") from None
    return data


def _is_too_deep(data: Any) -> bool:
    """Level by level, for what calls itself goes no deeper than Python does."""
    level: list[Any] = [[data]]  # of lists and objects
    for _ in range(DEEPEST + 1):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) in (dict, list)
        ]
    return bool(level)


class TrueFormParser(FormParser):
    """A form; not JSON that says it is one, as `curl -d` has it.

    Of that all but its fields would be taken: an increment of 5 would count 1.
    """

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        form = super().parse(stream, media_type, parser_context)
        if any(name.lstrip().startswith(("{", "[")) for name in form):
            raise ParseError("This is JSON, sent as a form. Say Content-Type: application/json.")
        return form


class QuickJSONRenderer(JSONRenderer):
    """What DRF's own renderer writes, written by orjson: 50 todos in a tenth of the time.

    What orjson refuses, such as integers of more than 64 bits, DRF writes or refuses; and what is
    to be indented, for people. Only where DRF escapes U+2028 and refuses NaN, one is written as it
    is, and the other as null.
    """

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        is_plain = accepted_media_type in (None, self.media_type)
        if data is not None and is_plain and not (renderer_context or {}).get("indent"):
            try:
                return orjson.dumps(data, AS_DRF_WRITES, orjson.OPT_PASSTHROUGH_DATETIME)
            except TypeError:  # which its own error is, too
                pass
        written: bytes = super().render(data, accepted_media_type, renderer_context)
        return written


def data_of(request: Request) -> Any:
    """`request.data`; JSON without the search for its parser."""
    if request.content_type == JSONParser.media_type and request.body:
        return parse(request.body)
    return request.data


def answered(
    request: Request,
    data: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HttpResponseBase:
    """An answer with this data; as JSON not by way of a DRF response, which renders it later."""
    if request.accepted_renderer.format != JSONRenderer.format:
        return Response(data, status=status, headers=headers)
    return HttpResponse(
        request.accepted_renderer.render(data, request.accepted_media_type),
        status=status,
        headers={"Content-Type": JSONRenderer.media_type, **headers},
    )
