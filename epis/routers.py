"""Each app has a database of its own; nothing crosses.

`DATABASE_OF` is the whole map. Django's own apps (auth, sessions, admin, content
types) live with the users.
"""

from typing import Any

from django.conf import settings
from django.db import models


class DatabasePerApp:
    """Routes each app label to its database and allows no relation across two."""

    def _alias(self, app_label: str) -> str:
        return settings.DATABASE_OF.get(app_label, "default")

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return self._alias(model._meta.app_label)

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return self._alias(model._meta.app_label)

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool:
        return self._alias(one._meta.app_label) == self._alias(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == self._alias(app_label)
