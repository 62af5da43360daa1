"""Conditional requests (RFC 9110, section 13) on things that count their changes.

A tag is `"<version>"`, or `"<version>-<digest>"` where the answer also shows something
that changes without the version, such as the owner's name. Reading compares the whole
tag; writing compares the version only, which is all that a write replaces.
"""

import hashlib
import re

from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from kit.errors import Invalid, PreconditionRequired

OUR_TAG = re.compile(r'"(\d{1,18})(?:-[0-9a-f]+)?"')
NO_VERSION = 0  # versions count from 1: a tag that is not one of ours matches none


def etag(version: int, *also_shown: str) -> str:
    """The strong tag of this version, shown together with `also_shown`."""
    if not also_shown:
        return f'"{version}"'
    digest = hashlib.blake2s("\0".join(also_shown).encode(), digest_size=6).hexdigest()
    return f'"{version}-{digest}"'


def tagged(request: Request, response: HttpResponseBase, tag: str) -> HttpResponseBase:
    """`response` with its ETag; 304 instead where the reader has it already.

    Not for a browser's page, which also shows who is signed in, and forms.
    """
    if request.accepted_renderer.format != "json":
        return response
    response["ETag"] = tag
    known = [known.removeprefix("W/") for known in parse_etags(_header(request, "If-None-Match"))]
    if request.method in ("GET", "HEAD") and (tag in known or "*" in known):
        return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
    return response


def expected_version(
    request: Request, *, in_body: int | None = None, required: bool = False
) -> int | None:
    """The version that a write is meant for, from If-Match or else from the body.

    None: whichever there is. The write itself has to compare (and refuse with Stale):
    what was looked up before may have changed since. Raises Invalid for an If-Match that
    is no tag or names several, and PreconditionRequired where `required` and missing.
    """
    header = _header(request, "If-Match")
    if not header:
        if in_body is None and required:
            raise PreconditionRequired
        return in_body
    tags = parse_etags(header)
    if len(tags) != 1:
        raise Invalid('One tag is needed, such as "3" (with its quotes), or *.', field="If-Match")
    if tags == ["*"]:
        return None
    ours = OUR_TAG.fullmatch(tags[0])
    return int(ours[1]) if ours else NO_VERSION


def _header(request: Request, name: str) -> str:
    return request.headers.get(name, "").strip()
