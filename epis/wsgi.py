"""The WSGI callable that the web server runs."""

import gc
import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CHUNK_BYTES = 64 * 1024
# Of new objects, before they are looked through for circles. Python's own is a hundredth of it,
# and a request makes several hundred.
GARBAGE_THRESHOLD = 50_000
# `charset=…`, and `name*=charset'language'value` of RFC 2231.
CHOICE_OF_CODEC = re.compile(r";[^;,=]*(?:charset|\*)[^;,=]*=[^;,]*", re.IGNORECASE)


def utf8_only(application: "WSGIApplication") -> "WSGIApplication":
    """`application`, for which all text is in UTF-8 whatever charset a header names.

    JSON has no other (RFC 8259, section 8.1). Django would decode the query string by
    the codec that Content-Type names, `rot13` if it says so, and fail where no
    middleware is there yet to answer for it.
    """

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        for header in ("CONTENT_TYPE", "HTTP_ACCEPT"):
            if ";" in environ.get(header, ""):
                environ[header] = CHOICE_OF_CODEC.sub("", environ[header])
        return application(environ, start_response)

    return guarded


def reads_to_the_end(application: "WSGIApplication") -> "WSGIApplication":
    """`application`, with nothing of a body left unread when it has answered.

    A view that refuses a request does not read its body. The web server would then close
    the connection behind the answer, under the client's next request on it.
    """

    def reading(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = application(environ, start_response)
        if environ.get("CONTENT_LENGTH", "").isdecimal():
            left = min(int(environ["CONTENT_LENGTH"]), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            while left > 0 and (read := environ["wsgi.input"].read(min(left, CHUNK_BYTES))):
                left -= len(read)
        return answer

    return reading


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "epis.settings")

application = reads_to_the_end(utf8_only(get_wsgi_application()))
# What is loaded by now stays, so it is not looked through again and again: the routes and views
# too, which Django would load with the first request.
_ = get_resolver().url_patterns
gc.collect()
gc.freeze()
gc.set_threshold(GARBAGE_THRESHOLD)
