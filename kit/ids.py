"""Public ids: UUIDv7, made by the application.

Unique across databases without asking any of them, and close together in time
order, which keeps index inserts on the right-most pages (RFC 9562, section 5.7).
"""

import uuid

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """A new UUIDv7, later than every earlier one of this process."""
    return uuid7()
