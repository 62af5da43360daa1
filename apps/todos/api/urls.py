"""The routes of the todos app below `/api/`."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.todos.api.bulk import BulkView
from apps.todos.api.files import ExportView, ImportView
from apps.todos.api.following import ChangesView
from apps.todos.api.history import HistoryView, RestoreVersionView
from apps.todos.api.labels import CategoriesView, TagsView
from apps.todos.api.views import TodoViewSet

router = SimpleRouter(use_regex_path=False)
router.register("todos", TodoViewSet, basename="todo")

urlpatterns = [
    *router.urls,
    path("todo/create", TodoViewSet.as_view({"post": "create"}), name="todo-create"),
    path("todos/bulk/", BulkView.as_view(), name="todo-bulk"),
    path("todos/tags/", TagsView.as_view(), name="todo-tags"),
    path("todos/categories/", CategoriesView.as_view(), name="todo-categories"),
    path("todos/changes/", ChangesView.as_view(), name="todo-changes"),
    path("todos/export/", ExportView.as_view(), name="todo-export"),
    path("todos/import/", ImportView.as_view(), name="todo-import"),
    path("todos/<uuid:id>/restore/", TodoViewSet.as_view({"post": "restore"}), name="todo-restore"),
    path("todos/<uuid:id>/history/", HistoryView.as_view(), name="todo-history"),
    path(
        "todos/<uuid:id>/history/<int:version>/restore/",
        RestoreVersionView.as_view(),
        name="todo-restore-version",
    ),
]
