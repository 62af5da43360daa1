"""Bodies in JSON: read so that none of them is a fault of ours, and written.

DRF's own way, by the parser in the settings, serves nearly every view. For one that does next to
nothing of its own, and that all the time, `data_of` and `answered` leave out what is the same for
every request: together a tenth of what such a request costs.
"""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.json import strict_constant

DECODER = json.JSONDecoder(parse_constant=strict_constant)


class BoundedJSONParser(JSONParser):
    """JSON of characters, in UTF-8 (RFC 8259), nested no deeper than Python's own recursion goes.

    DRF catches what is not JSON, but not the RecursionError of a body of "[[[[…", nor
    the half of a character that "\\ud800" is: an answer that repeats it cannot be encoded.
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
    except RecursionError:
        raise ParseError("JSON parse error - nested too deeply") from None
    except UnicodeEncodeError:
        raise ParseError("JSON parse error - a lone surrogate is no character") from None
    except ValueError as error:
        raise ParseError(f"JSON parse error - {error}") from None
    return data


def data_of(request: Request) -> Any:
    """`request.data`; JSON without the search for its parser."""
    if request.content_type == JSONParser.media_type and request.body:
        return parse(request.body)
    return request.data


def answered(
    request: Request, data: Any, *, status: int, headers: Mapping[str, str]
) -> HttpResponseBase:
    """An answer with this data; as JSON not by way of a DRF response, which renders it later."""
    if request.accepted_renderer.format != JSONRenderer.format:
        return Response(data, status=status, headers=headers)
    return HttpResponse(
        request.accepted_renderer.render(data, request.accepted_media_type),
        status=status,
        headers={"Content-Type": JSONRenderer.media_type, **headers},
    )
