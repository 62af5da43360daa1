"""Every error as a problem (RFC 9457), whoever found it: an app, DRF, Django or PostgreSQL.

`type` is `about:blank`, which promises no more than the status does; what tells one
refusal from another is `code`, a stable word, next to RFC 9457's own members. Bad input
lists `errors`, one for each field.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core import exceptions as django_errors
from django.db import DataError, InterfaceError, InternalError, OperationalError
from django.http import Http404
from rest_framework import exceptions as drf_errors
from rest_framework.fields import get_error_detail
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.utils.serializer_helpers import ReturnDict

from kit import errors

logger = logging.getLogger(__name__)

STATUS_OF: dict[type[BaseException], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Gone: HTTPStatus.GONE,
    errors.Stale: HTTPStatus.PRECONDITION_FAILED,
    errors.PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyTries: HTTPStatus.TOO_MANY_REQUESTS,
    Http404: HTTPStatus.NOT_FOUND,
    django_errors.PermissionDenied: HTTPStatus.FORBIDDEN,
    django_errors.ValidationError: HTTPStatus.BAD_REQUEST,
    django_errors.BadRequest: HTTPStatus.BAD_REQUEST,
    django_errors.SuspiciousOperation: HTTPStatus.BAD_REQUEST,
    django_errors.RequestDataTooBig: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    # A value that PostgreSQL cannot hold, such as a NUL, and that nothing caught before.
    DataError: HTTPStatus.BAD_REQUEST,
    # A database that is gone, or that gave no lock or no answer in time.
    OperationalError: HTTPStatus.SERVICE_UNAVAILABLE,
    InterfaceError: HTTPStatus.SERVICE_UNAVAILABLE,
    # A transaction that froze until PostgreSQL ended it, or a server that only reads.
    InternalError: HTTPStatus.SERVICE_UNAVAILABLE,
}
# Not taken from `HTTPStatus`, whose names and phrases are not those of every other Python.
CODE_OF = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.UNAUTHORIZED: "not_authenticated",
    HTTPStatus.FORBIDDEN: "permission_denied",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "content_too_large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_server_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
}
TITLE_OF = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
DETAIL_OF = {
    HTTPStatus.BAD_REQUEST: "The request cannot be understood.",
    HTTPStatus.FORBIDDEN: "You may not do this.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than is taken here.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "This is a fault of the server. It has been logged.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A database does not answer just now. Try again.",
}
BAD_INPUT = "The input was refused: see `errors`."
RETRY_AFTER_SECONDS = 2
SIGN_IN_WITH = "Bearer"
WAIT_STATUSES = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
NON_FIELD_NAMES = {"non_field_errors", django_errors.NON_FIELD_ERRORS}


@dataclass(frozen=True)
class Problem:
    """What went wrong, ready to be told. `members` are told next to the standard ones."""

    status: HTTPStatus
    code: str = ""
    detail: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        code = self.code or CODE_OF.get(self.status, f"http_{self.status.value}")
        detail = self.detail or DETAIL_OF.get(self.status, self.status.phrase)
        standard: dict[str, Any] = {
            "type": "about:blank",
            "title": TITLE_OF.get(self.status, self.status.phrase),
            "status": self.status.value,
            "detail": detail,
            "code": code,
        }
        if self.status == HTTPStatus.BAD_REQUEST:
            standard["errors"] = self.errors or [{"field": "", "code": code, "message": detail}]
        return standard | {name: self.members[name] for name in self.members.keys() - standard}


class ProblemRenderer(JSONRenderer):
    media_type = "application/problem+json"


def answer(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. What is no refusal goes on to be a 500.

    A browser that reads the browsable page gets the problem on it, and in a form that
    was refused each message at its field.
    """
    problem = problem_of(exc)
    if problem is None:
        return None
    request = context["request"]
    if not isinstance(getattr(request, "accepted_renderer", None), BrowsableAPIRenderer):
        request.accepted_renderer = ProblemRenderer()
        request.accepted_media_type = ProblemRenderer.media_type
    body = problem.body()
    serializer = getattr(getattr(exc, "detail", None), "serializer", None)
    if serializer is not None:
        body = ReturnDict(body, serializer=serializer)
    return Response(body, status=problem.status, headers=problem.headers)


def problem_of(exc: BaseException | None) -> Problem | None:
    """The problem that `exc` means for the client; None where it means a fault of ours."""
    if isinstance(exc, drf_errors.APIException):
        return _problem_of_drf(exc)
    kinds = type(exc).__mro__
    status = next((STATUS_OF[kind] for kind in kinds if kind in STATUS_OF), None)
    if status is None:
        return None
    headers = _headers(status, retry_after=getattr(exc, "retry_after", None))
    if isinstance(exc, (OperationalError, InterfaceError, InternalError)):
        logger.error("A database did not serve a request: %s", exc)
    if isinstance(exc, django_errors.ValidationError):
        return Problem(status, "invalid", BAD_INPUT, list(flat(get_error_detail(exc))))
    if not isinstance(exc, errors.Refusal):
        return Problem(status, headers=headers)
    at_field = getattr(exc, "field", None)
    refused = [{"field": at_field, "code": exc.code, "message": exc.message}] if at_field else []
    return Problem(status, exc.code, exc.message, refused, exc.context, headers)


def _problem_of_drf(exc: drf_errors.APIException) -> Problem:
    status = HTTPStatus(exc.status_code)
    headers = _headers(status, getattr(exc, "auth_header", None), getattr(exc, "wait", None))
    if isinstance(exc.detail, str):
        return Problem(status, exc.detail.code or "", exc.detail, headers=headers)
    return Problem(status, exc.default_code, BAD_INPUT, list(flat(exc.detail)), headers=headers)


def _headers(
    status: HTTPStatus, challenge: str | None = None, retry_after: float | None = None
) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": challenge or SIGN_IN_WITH}
    if status in WAIT_STATUSES:
        return {"Retry-After": str(round(retry_after or RETRY_AFTER_SECONDS))}
    return {}


def flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Nested errors as a list, with fields such as `tags[3]` and `update[0].title`.

    What concerns no one field is at the path that it concerns: "" for the whole body.
    """
    if isinstance(detail, Mapping):
        for name, value in detail.items():
            yield from flat(value, _below(path, name))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            yield from flat(value, path if isinstance(value, str) else _below(path, index))
    else:
        code = getattr(detail, "code", None) or "invalid"
        yield {"field": path, "code": code, "message": str(detail)}


def _below(path: str, name: str | int) -> str:
    if name in NON_FIELD_NAMES:
        return path
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
