"""Who may sign in: an active account that is not closed."""

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser

from apps.users.models import User


class OpenAccounts(ModelBackend):
    def user_can_authenticate(self, user: AbstractBaseUser | None) -> bool:
        return isinstance(user, User) and user.is_active and user.closed_at is None
