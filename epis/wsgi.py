"""The WSGI callable that the web server runs."""

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "epis.settings")

application = utf8_only(get_wsgi_application())
