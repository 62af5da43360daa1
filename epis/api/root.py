"""The ways in: the front page, the list of the API's routes, signing in and out."""

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

ROUTES = {
    "users": "users/",
    "me": "users/me/",
    "tokens": "auth/tokens/",
    "todos": "todos/",
    "counters": "counters/",
    "schema": "schema/",
    "docs": "docs/",
}

front_page = TemplateView.as_view(template_name="epis/front_page.html")


class Root(APIView):
    """Users, todos and tallies. Sign in, or send a token, to see more than this page."""

    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        here = request.build_absolute_uri(request.path)
        return Response({name: here + route for name, route in ROUTES.items()})

    def get_view_name(self) -> str:
        return "epis"


class SignIn(LoginView):
    http_method_names = ["get", "head", "post", "options"]
    template_name = "epis/sign_in.html"


class SignOut(LogoutView):
    """Asks first: a link must not sign anyone out."""

    http_method_names = ["get", "head", "post", "options"]
    template_name = "epis/sign_out.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.render_to_response({"next": request.GET.get("next", "")})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """What the browser keeps of the pages that were seen goes, too."""
        response = super().post(request, *args, **kwargs)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response
