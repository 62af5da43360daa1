"""Who may sign in: an active account that is not closed, and not by trying without end.

Every way in by password ends here (the API, the sign-in page, the admin), so here is where
tries are counted.
"""

import logging
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from apps.users.addresses import address_of
from apps.users.models import User
from apps.users.operations.signing_in import count_sign_in_try, remember_address

logger = logging.getLogger(__name__)


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
        address = address_of(request.META) if request else ""
        count_sign_in_try(username=username, address=address)
        user = super().authenticate(request, username=username, password=password)
        if not isinstance(user, User):
            # Not the name: some type their password there.
            logger.warning("A sign-in from %s was refused", address or "here")
            return None
        logger.info("User %s signed in from %s", user.id, address or "here")
        remember_address(user_id=user.id, address=address)
        return user

    def user_can_authenticate(self, user: AbstractBaseUser | AnonymousUser | None) -> bool:
        return isinstance(user, User) and user.is_active and user.closed_at is None
