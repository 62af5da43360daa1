"""The routes of the users app below `/api/`."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.users.api.views import (
    DeletionViewSet,
    NewPasswordView,
    PasswordResetView,
    TokenViewSet,
    UserViewSet,
)

router = SimpleRouter(use_regex_path=False)
router.register("auth/tokens", TokenViewSet, basename="token")
router.register("users", UserViewSet, basename="user")
router.register("deletions", DeletionViewSet, basename="deletion")

urlpatterns = [
    path("auth/password-reset/", PasswordResetView.as_view(), name="password-reset"),
    path(
        "auth/password-reset/<uuid:user_id>/<str:code>/",
        NewPasswordView.as_view(),
        name="new-password",
    ),
    path("", include(router.urls)),
    path("user/create", UserViewSet.as_view({"post": "create"}), name="user-create"),
]
