"""What a list of todos can be narrowed to, and ordered by."""

import unicodedata
from collections.abc import Mapping
from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import extend_schema_field

from apps.todos.models import Todo
from apps.todos.queries import is_overdue, search

TRUTHS = {"true": True, "1": True, "false": False, "0": False}
LONGEST_SEARCH = 200


class YesOrNoField(forms.Field):
    """True, false, or not given. Whatever else is refused, where Django's fields ignore it."""

    widget = forms.Select(choices=[("", "Either"), ("true", "Yes"), ("false", "No")])

    def to_python(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        try:
            return TRUTHS[value.lower()]
        except KeyError:
            raise ValidationError("This must be true or false.", code="invalid") from None


class YesOrNo(filters.BooleanFilter):
    field_class = YesOrNoField


class EveryValue(forms.TextInput):
    """Takes a parameter that is given several times; one input in the browsable API."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return data.getlist(name) if isinstance(data, MultiValueDict) else data.get(name, [])

    def format_value(self, value: Any) -> str:
        return ", ".join(value or [])


class TagsField(forms.Field):
    widget = EveryValue

    def to_python(self, value: Any) -> list[str]:
        tag = forms.CharField(max_length=50, required=False)
        return [cleaned for cleaned in map(tag.clean, value) if cleaned]


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "maxLength": 50},
        "description": "Has this tag. Given several times: has all of them.",
    }
)
class TagsFilter(filters.Filter):
    field_class = TagsField


class TodoFilters(filters.FilterSet):
    username = filters.CharFilter(
        method="of_username", help_text="The owner's name, whole, ignoring case."
    )
    completed = YesOrNo("completed_at", "isnull", exclude=True)
    category = filters.CharFilter(help_text="The whole category.")
    tag = TagsFilter("tags", "contains")
    due_before = filters.IsoDateTimeFilter("due_at", "lt")
    due_after = filters.IsoDateTimeFilter("due_at", "gt")
    created_before = filters.IsoDateTimeFilter("created_at", "lt")
    created_after = filters.IsoDateTimeFilter("created_at", "gt")
    completed_before = filters.IsoDateTimeFilter("completed_at", "lt")
    completed_after = filters.IsoDateTimeFilter("completed_at", "gt")
    overdue = YesOrNo(method="by_overdue", help_text="Due before now and not completed.")
    search = filters.CharFilter(
        method="by_words",
        max_length=LONGEST_SEARCH,
        help_text="Each of these words, or parts of words, is in the title or the content. The "
        "best come first: whole words of the title, parts of it, whole words of the content.",
    )
    deleted = YesOrNo(
        method="of_the_trash",
        help_text="What is in the trash, of your own, instead of what is not.",
    )
    ordering = filters.OrderingFilter(
        fields=["created_at", "updated_at", "due_at", "title"],
        help_text="With - in front: the other way round. What has no `due_at` comes last.",
    )

    class Meta:
        model = Todo
        fields: list[str] = []

    def __init__(self, data: Any = None, *args: Any, request: Any = None, **kwargs: Any) -> None:
        # A form of all of them takes longer than the query. Only a page for a person shows it.
        if data is not None and request is not None and request.accepted_renderer.format == "json":
            every: dict[str, Any] = self.base_filters  # type: ignore[has-type]  # of the class
            self.base_filters = {name: every[name] for name in data if name in every}
        super().__init__(data, *args, request=request, **kwargs)

    def of_username(self, todos: QuerySet[Todo], name: str, value: str) -> QuerySet[Todo]:
        # As names are kept: some keyboards send é as e and an accent.
        return todos.filter(owner__username__iexact=unicodedata.normalize("NFKC", value))

    def by_overdue(self, todos: QuerySet[Todo], name: str, value: bool) -> QuerySet[Todo]:
        return todos.filter(is_overdue()) if value else todos.exclude(is_overdue())

    def by_words(self, todos: QuerySet[Todo], name: str, value: str) -> QuerySet[Todo]:
        return search(todos, value)

    def of_the_trash(self, todos: QuerySet[Todo], name: str, value: bool) -> QuerySet[Todo]:
        return todos  # the view chooses which of the two is narrowed


def asks_for_trash(parameters: Mapping[str, str]) -> bool:
    """Whether a list of what was deleted is wanted."""
    return TRUTHS.get(parameters.get("deleted", "").lower(), False)
