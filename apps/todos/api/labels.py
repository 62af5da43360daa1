"""One's own tags and categories, and how often each is used."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView

from apps.todos.api.serializers import LabelSerializer
from apps.todos.models import Category, Label, Tag
from apps.todos.queries.own import list_categories, list_tags
from kit.api.viewers import viewer_of


@extend_schema(tags=["Todos"], description="Your own tags, with how many todos have each.")
class TagsView(ListAPIView[Label]):
    """Your tags, with how many of your todos have each."""

    queryset = Tag.objects.none()  # for the schema
    serializer_class = LabelSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Any]:
        return list_tags(viewer_of(self.request).user_id)


@extend_schema(tags=["Todos"], description="Your own categories, with how many todos are in each.")
class CategoriesView(ListAPIView[Label]):
    """Your categories, with how many of your todos are in each."""

    queryset = Category.objects.none()  # for the schema
    serializer_class = LabelSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Any]:
        return list_categories(viewer_of(self.request).user_id)
