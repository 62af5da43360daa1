"""Signing in later than DRF does: together with what is asked for."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kit.api.viewers import bearer_of
from kit.directory import Bearer


class SignsInLater(APIView):
    """A view that leaves it to its operation to look up the token of some requests.

    Nothing is told to a bearer whom the operation does not know: whatever is wrong with such a
    request, the token is looked up before it is said, and a wrong token is told first.
    """

    bearer: Bearer | None = None  # of a request whose token has not been looked up

    def may_sign_in_later(self, request: Request) -> bool:
        """Whether the operation that this request comes to takes a Bearer."""
        raise NotImplementedError

    def perform_authentication(self, request: Request) -> None:
        if self.may_sign_in_later(request):
            self.bearer = bearer_of(request)
        if self.bearer is None:
            super().perform_authentication(request)

    def check_permissions(self, request: Request) -> None:
        if self.bearer is None:
            super().check_permissions(request)

    def handle_exception(self, exc: Exception) -> Response:
        if self.bearer is not None:
            try:
                super().perform_authentication(self.request)
                super().check_permissions(self.request)
            except Exception as refused:
                exc = refused
        return super().handle_exception(exc)
