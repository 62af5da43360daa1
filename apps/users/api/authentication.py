"""Bearer tokens as a way to sign in to the API."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.users.models import Token, User
from apps.users.operations.signing_in import use_token
from kit.api.viewers import bearer_of


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        bearer = bearer_of(request)
        if bearer is None:
            return None
        token = use_token(bearer.token)
        if token is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
