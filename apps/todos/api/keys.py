"""The Idempotency-Key of a request."""

import re

from rest_framework.request import Request

from kit.errors import Invalid

KEY = re.compile(r"[!-~]{1,255}")


def key_of(request: Request) -> str | None:
    """Raises Invalid for one that is not 1 to 255 visible ASCII characters."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        message = "A key is 1 to 255 visible ASCII characters."
        raise Invalid(message, field="Idempotency-Key")
    return key
