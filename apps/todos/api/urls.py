"""The routes of the todos app below `/api/`."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.todos.api.views import TodoViewSet

router = SimpleRouter(use_regex_path=False)
router.register("todos", TodoViewSet, basename="todo")

urlpatterns = [
    path("", include(router.urls)),
    path("todo/create", TodoViewSet.as_view({"post": "create"}), name="todo-create"),
]
