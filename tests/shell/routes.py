"""Addresses that fail in every way that a real one can, and nothing else."""

from collections.abc import Callable
from typing import Any

from django.core import exceptions as django_errors
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import include, path
from rest_framework import exceptions as drf_errors
from rest_framework import filters, generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.todos.models import Todo
from epis.api import root
from kit import errors
from kit.api import conditional

WAYS: dict[str, Callable[[], Exception]] = {
    "not-found": errors.NotFound,
    "invalid": lambda: errors.Invalid("No such colour.", field="colour"),
    "forbidden": errors.Forbidden,
    "conflict": errors.Conflict,
    "stale": lambda: errors.Stale(current={"version": 7}, status=200),
    "precondition-required": errors.PreconditionRequired,
    "key-reused": errors.KeyReused,
    "too-many-tries": lambda: errors.TooManyTries(retry_after=41),
    "http404": Http404,
    "permission-denied": django_errors.PermissionDenied,
    "django-invalid": lambda: django_errors.ValidationError({"name": ["Too short."]}),
    "suspicious": lambda: django_errors.SuspiciousOperation("secret"),
    "too-big": lambda: django_errors.RequestDataTooBig("secret"),
    "nul": lambda: DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
    "database-gone": lambda: OperationalError("secret"),
    "connection-closed": lambda: InterfaceError("secret"),
    "transaction-froze": lambda: InternalError("secret"),
    "throttled": lambda: drf_errors.Throttled(wait=7),
    "wrong-credentials": errors.Unauthenticated,
    "unauthenticated": drf_errors.NotAuthenticated,
    "bug": lambda: IntegrityError("secret"),
}


class Fail(APIView):
    permission_classes = []

    def get(self, request: Request, way: str) -> Response:
        raise WAYS[way]()


def fail_outside_drf(request: HttpRequest, way: str) -> HttpResponse:
    raise WAYS[way]()


class Step(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=5)

    def validate_title(self, title: str) -> str:
        if title == "no":
            raise serializers.ValidationError("Not that.", code="taken")
        return title


class Plan(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=5)
    tags = serializers.ListField(child=serializers.CharField(max_length=3), required=False)
    steps = Step(many=True, required=False)
    kind = serializers.ChoiceField(choices=["work", "play"], required=False)

    def validate(self, plan: dict[str, Any]) -> dict[str, Any]:
        if plan["name"] == "all":
            raise serializers.ValidationError("Not as a whole.", code="whole")
        return plan


class Plans(generics.GenericAPIView[Any]):
    authentication_classes = []
    permission_classes = []
    serializer_class = Plan

    def get(self, request: Request) -> Response:
        return Response([])

    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.data)


class Page(APIView):
    """Version 3 of something, shown together with a name that changes on its own."""

    authentication_classes = []
    permission_classes = []

    def get(self, request: Request) -> HttpResponseBase:
        name = request.query_params.get("name", "ada")
        return conditional.tagged(request, Response({"by": name}), conditional.etag(3, name))

    def put(self, request: Request) -> Response:
        in_body = request.data.get("version")
        expected = conditional.expected_version(request, in_body=in_body, required=True)
        return Response({"expected": expected})

    def patch(self, request: Request) -> Response:
        return Response({"expected": conditional.expected_version(request)})


class TodoSummary(serializers.ModelSerializer[Todo]):
    class Meta:
        model = Todo
        fields = ["id", "title"]


class Todos(generics.ListAPIView[Todo]):
    authentication_classes = []
    permission_classes = []
    queryset = Todo.objects.all()
    serializer_class = TodoSummary
    filter_backends = [filters.OrderingFilter]
    ordering_fields = ["created_at", "due_at", "title"]


class TodosByTitle(Todos):
    queryset = Todo.objects.order_by("title")
    filter_backends = []


signing_in = [
    path("login/", root.SignIn.as_view(), name="login"),
    path("logout/", root.SignOut.as_view(), name="logout"),
]
urlpatterns = [
    path("", root.front_page, name="front-page"),
    path("api/auth/", include((signing_in, "rest_framework"))),
    path("api/fail/<slug:way>/", Fail.as_view()),
    path("api/fail-outside/<slug:way>/", fail_outside_drf),
    path("api/plans/", Plans.as_view()),
    path("api/page/", Page.as_view()),
    path("api/todos/", Todos.as_view()),
    path("api/todos-by-title/", TodosByTitle.as_view()),
]
handler400 = handler403 = handler404 = "epis.api.edge.refused"
handler500 = "epis.api.edge.failed"
