"""The session store: Django's database sessions, with the user's id beside each.

The technique is the one Django documents under "Extending database-backed session
engines". It lets closing an account revoke its sessions for good.
"""

from typing import Any, cast
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from apps.users.models import Session


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        session = cast(Session, super().create_model_instance(data))
        user_id = data.get(SESSION_KEY)
        session.user_id = UUID(user_id) if user_id else None
        return session
