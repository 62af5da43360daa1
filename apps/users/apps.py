from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class UsersConfig(AppConfig):
    name = "apps.users"
    label = "users"

    def ready(self) -> None:
        # In the place of Django's own receiver, which comes later under the same name and is
        # then passed over: it fails for an account that is deleted at this moment.
        user_logged_in.connect(_note_sign_in, dispatch_uid="update_last_login")


def _note_sign_in(user: Any, **_: Any) -> None:
    from apps.users.operations.signing_in import note_sign_in

    note_sign_in(user_id=user.pk)
