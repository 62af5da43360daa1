"""Who may sign in: an active account that is not closed, and not by trying without end.

Every way in by password ends here (the API, the sign-in page, the admin), so here is where
tries are counted.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from apps.users.models import User
from apps.users.operations.signing_in import count_sign_in_try


class OpenAccounts(ModelBackend):
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Raises TooManyTries. Takes as long for a name that does not exist."""
        if username is None or password is None:
            return None
        username = User.normalize_username(username)
        count_sign_in_try(
            username=username, address=request.META.get("REMOTE_ADDR", "") if request else ""
        )
        return super().authenticate(request, username=username, password=password)

    def user_can_authenticate(self, user: AbstractBaseUser | AnonymousUser | None) -> bool:
        return isinstance(user, User) and user.is_active and user.closed_at is None
