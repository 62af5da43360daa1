"""What happens around the views: requests that no view should meet, and answers of none.

Whoever prefers HTML gets a small page, everyone else a problem, as with the views.
"""

import sys
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponsePermanentRedirect,
)
from django.middleware.common import CommonMiddleware
from django.template.loader import render_to_string
from django.utils.http import escape_leading_slashes

from epis.api import CROWDED, CUT_OFF
from epis.api.problems import RETRY_AFTER_SECONDS, Problem, ProblemRenderer, problem_of
from kit.errors import Refusal

ENDED_EARLY = "The body ended before it was complete."
BUSY = "Too many bodies are on their way. Try again."
API = "/api/"
IN_THE_CLEAR = (
    "The API is served over HTTPS only. What was sent with this request was sent in the clear."
)
AS_IT_IS = "identity"
# Not taken for a form that says nothing, of which a compressed one has the looks.
ENCODED = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "A body is taken as it is, not compressed.",
    headers={"Accept-Encoding": AS_IT_IS},
)
PAGE_TYPE = "text/html; charset=utf-8"
# What a page may load and do: what comes from here, and nothing that is written into it.
PAGE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
    "payment=(), usb=()",
}
# Whatever else there is may do nothing, should a browser be made to take it for a page.
NO_PAGE = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


class Edge:
    """Middleware: turns away what came in the clear, and bodies too large, cut off or compressed;
    and gives every error a body.

    It also says what a browser may do with an answer, and that nobody is to keep it: what is
    told here is somebody's. With an ETag it may be kept by whoever got it, and asked for again.

    Django holds `DATA_UPLOAD_MAX_MEMORY_SIZE` against all but uploaded files, which it
    would write to disk, whoever sends them; here only an import takes any, once it is known
    who sends it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.answer(request)
        headers = response.headers
        is_page = headers.get("Content-Type", "").startswith("text/html")
        for name, value in (PAGE if is_page else NO_PAGE).items():
            headers[name] = value
        if "Cache-Control" not in headers:
            headers["Cache-Control"] = "private, no-cache" if "ETag" in headers else "no-store"
        return response

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        if (
            settings.SECURE_SSL_REDIRECT
            and request.path.startswith(API)
            and not request.is_secure()
        ):
            return tell(request, Problem(HTTPStatus.FORBIDDEN, "https_required", IN_THE_CLEAR))
        length = request.META.get("CONTENT_LENGTH") or "0"
        most = settings.LARGE_BODIES.get(request.path, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if length.isdecimal() and int(length) > most:
            return tell(request, Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
        coding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if length != "0" and coding not in ("", AS_IT_IS):
            return tell(request, ENCODED)
        if request.META.get(CROWDED):
            wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return tell(request, Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail=BUSY, headers=wait))
        if request.META.get(CUT_OFF):
            return tell(request, Problem(HTTPStatus.BAD_REQUEST, detail=ENDED_EARLY))
        response = self.get_response(request)
        if response.status_code < 400 or getattr(response, "content", True):
            return response
        allow = {"Allow": response["Allow"]} if "Allow" in response else {}
        return tell(request, Problem(HTTPStatus(response.status_code), headers=allow))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What an app refuses in a view that is not DRF's, such as the admin's sign-in."""
        problem = problem_of(exception) if isinstance(exception, Refusal) else None
        return tell(request, problem) if problem else None


class Moved(HttpResponsePermanentRedirect):
    """308, on which a POST stays one.

    Behind a 301 it becomes a GET, which is answered well and has made nothing.
    """

    def __init__(self, redirect_to: str) -> None:
        super().__init__(redirect_to, preserve_request=True)


class Slashes(CommonMiddleware):
    """Django's way to the address with its slash, on which nothing that is sent gets lost."""

    response_redirect_class = Moved

    def get_full_path_with_slash(self, request: HttpRequest) -> str:
        """As Django's, which with DEBUG takes a POST for lost."""
        return escape_leading_slashes(request.get_full_path(force_append_slash=True))


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler for 400, 403 and 404."""
    return tell(request, problem_of(exception) or Problem(HTTPStatus.BAD_REQUEST))


def failed(request: HttpRequest) -> HttpResponse:
    """Django's handler for what no one caught: a fault of ours, or a database that is gone."""
    return tell(request, problem_of(sys.exception()) or Problem(HTTPStatus.INTERNAL_SERVER_ERROR))


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    return tell(request, Problem(HTTPStatus.FORBIDDEN, detail=f"CSRF failed: {reason}"))


def tell(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem as HTML to whoever prefers that, and as JSON to everyone else."""
    body = problem.body()
    offered = [ProblemRenderer.media_type, "application/json", "text/html"]
    content: str | bytes
    if request.get_preferred_type(offered) == "text/html":
        content, media_type = render_to_string("epis/problem.html", body), PAGE_TYPE
    else:
        content, media_type = ProblemRenderer().render(body), ProblemRenderer.media_type
    return HttpResponse(
        content, content_type=media_type, status=problem.status, headers=problem.headers
    )
