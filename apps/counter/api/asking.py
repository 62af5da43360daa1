"""What a client asks for when it counts: one increment or an array, and how long it waits."""

import re
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from apps.counter.api.serializers import NewIncrementSerializer
from kit.api.bodies import data_of

MOST_INCREMENTS = 10_000
LONGEST_WAIT = 30  # seconds

Asked = tuple[int, str | None]  # amount and key; which are taken is decided where they are accepted

WAIT = re.compile(r'wait\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>.*))\Z', re.IGNORECASE)

# The offset in a query whose "+" was not quoted.
PLUS_AS_BLANK = re.compile(r" (?=\d\d:?\d\d\Z)")


def is_one_increment(request: Request) -> bool:
    """Whether the body, not read yet, is an object in JSON, if it is anything that is taken here.

    `asked_for` then gives one increment, or raises.
    """
    return request.content_type == JSONParser.media_type and request.body.lstrip()[:1] == b"{"


def asked_for(request: Request) -> Asked | list[Asked]:
    """The body's increment, its key taken from the header if it has none; or its increments.

    Raises ValidationError. Not a serializer for JSON: one of 10,000 fields would take longer
    than counting them.
    """
    data = data_of(request)
    header = request.headers.get("Idempotency-Key")
    if isinstance(data, list):
        return _array(data, header)
    if isinstance(data, QueryDict):
        form = NewIncrementSerializer(data=data)
        form.is_valid(raise_exception=True)
        data = form.validated_data
    amount, key = _one(data)
    if header is None:
        return amount, key
    if key is not None and key != header:
        message = "This is not the key in the Idempotency-Key header."
        raise ValidationError({"key": message}, code="keys_differ")
    return amount, header


def _array(data: list[Any], header: str | None) -> list[Asked]:
    if header is not None:
        message = "The header is the key of one increment. In an array each has its own."
        raise ValidationError({"key": message}, code="key_of_array")
    if not data:
        raise ValidationError("The array is empty.", code="empty")
    if len(data) > MOST_INCREMENTS:
        message = f"An array has at most {MOST_INCREMENTS:,} increments, not {len(data):,}."
        raise ValidationError(message, code="max_length")
    asked = []
    for index, item in enumerate(data):
        try:
            asked.append(_one(item))
        except ValidationError as error:
            raise ValidationError({f"[{index}]": error.detail}) from None
    return asked


def _one(data: Any) -> Asked:
    if not isinstance(data, dict):
        raise ValidationError("An increment is an object: {}, or {amount, key}.", code="invalid")
    amount = data.get("amount", 1)
    if type(amount) is not int:  # True is an int, too
        raise ValidationError({"amount": "A whole number is needed."}, code="invalid")
    if "key" not in data:
        return amount, None
    key = data["key"]
    if type(key) is not str:
        raise ValidationError({"key": "Text is needed."}, code="invalid")
    return amount, key


def seconds_to_wait(request: Request) -> int:
    """The N of `Prefer: wait=N` (RFC 7240); 0 where nothing is said. Raises ValidationError."""
    if "HTTP_PREFER" not in request.META:
        return 0
    for preference in request.META["HTTP_PREFER"].split(","):
        found = WAIT.match(preference.partition(";")[0].strip())
        if found is None:
            continue
        seconds = found["plain"] if found["quoted"] is None else found["quoted"]
        if not re.fullmatch(r"\d{1,4}", seconds, re.ASCII) or int(seconds) > LONGEST_WAIT:
            message = f"wait is a whole number of seconds, at most {LONGEST_WAIT}."
            raise ValidationError({"Prefer": message}, code="invalid")
        return int(seconds)
    return 0


def moment_asked_for(request: Request) -> datetime | None:
    """The `at` of the query, if there is one. Raises ValidationError."""
    text = request.query_params.get("at")
    if text is None:
        return None
    text = PLUS_AS_BLANK.sub("+", text)
    try:
        moment = parse_datetime(text)
    except ValueError:  # the 31st of February
        moment = None
    if moment is None or moment.tzinfo is None:
        message = "A time with its offset is needed, such as 2026-01-31T12:00:00Z."
        raise ValidationError({"at": message}, code="invalid")
    return moment
