"""The session store: Django's database sessions, under a digest of the key and with the user's id.

The technique is the one Django documents under "Extending database-backed session
engines". It lets closing an account revoke its sessions for good.

A row is kept under a digest of its key. The key itself is in the browser's cookie only, so that
nobody gets in with what is read from the database.
"""

import hashlib
from typing import Any, cast
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from apps.users.models import Session

COLUMN_CHARACTERS = 40  # 160 bits in hex; a key has 165, all of them random


def digest_of(session_key: str) -> str:
    """What the row of this session is kept under."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:COLUMN_CHARACTERS]


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        kept_under = digest_of(cast(str, self.session_key))  # nobody loads what has none
        rows = Session.objects.filter(session_key=kept_under, expire_date__gt=timezone.now())
        session = rows.first()
        if session is None:
            self._session_key = None
            return {}
        return self.decode(session.session_data)

    def exists(self, session_key: str) -> bool:
        return bool(super().exists(digest_of(session_key)))

    def delete(self, session_key: str | None = None) -> None:
        session_key = session_key or self.session_key
        if session_key:
            super().delete(digest_of(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        session = cast(Session, super().create_model_instance(data))
        session.session_key = digest_of(session.session_key)
        user_id = data.get(SESSION_KEY)
        session.user_id = UUID(user_id) if user_id else None
        return session
