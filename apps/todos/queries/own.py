"""All of one's own: todos and labels."""

from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.todos.models import Category, Tag, Todo

EXPORT_ROWS = 1_000


def list_tags(owner_id: UUID) -> QuerySet[Tag]:
    """The owner's tags, with how many todos have each."""
    return Tag.objects.filter(owner=owner_id).order_by("name")


def list_categories(owner_id: UUID) -> QuerySet[Category]:
    """The owner's categories, with how many todos are in each."""
    return Category.objects.filter(owner=owner_id).order_by("name")


def iterate_own(owner_id: UUID) -> Iterator[Todo]:
    """All todos of an owner, the trash too, the oldest first. A thousand are held at a time."""
    own = Todo.objects.filter(owner=owner_id).select_related("owner").order_by("id")
    page = list(own[:EXPORT_ROWS])
    while page:
        yield from page
        page = list(own.filter(id__gt=page[-1].id)[:EXPORT_ROWS])


def find_created_under(owner_id: UUID, key: str) -> Todo | None:
    """The owner's todo that was created under this key."""
    return Todo.objects.filter(owner=owner_id, key=key).select_related("owner").first()


def list_known(owner_id: UUID, ids: Collection[UUID], keys: Collection[str]) -> set[Any]:
    """Those of these ids, and of these keys, that the owner's todos have."""
    own = Todo.objects.filter(Q(id__in=ids) | Q(key__in=keys), owner=owner_id)
    return {each for row in own.values_list("id", "key") for each in row if each is not None}
