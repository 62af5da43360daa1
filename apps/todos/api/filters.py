"""What a list of todos can be narrowed to, and ordered by."""

import unicodedata
from copy import deepcopy
from typing import Any

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EMPTY_VALUES
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from drf_spectacular.utils import extend_schema_field

from apps.todos.models import Todo

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
    """What there is to ask for, for its form and its description; what each means is said where
    the list is (`CONDITIONS`).
    """

    username = filters.CharFilter(
        "owner__username", label="Owner", help_text="The owner's name, whole, ignoring case."
    )
    completed = YesOrNo("completed_at", label="Completed", help_text="Whether it was completed.")
    category = filters.CharFilter(help_text="The whole category.")
    tag = TagsFilter("tags")
    due_before = filters.IsoDateTimeFilter("due_at", "lt")
    due_after = filters.IsoDateTimeFilter("due_at", "gt")
    created_before = filters.IsoDateTimeFilter("created_at", "lt")
    created_after = filters.IsoDateTimeFilter("created_at", "gt")
    completed_before = filters.IsoDateTimeFilter("completed_at", "lt")
    completed_after = filters.IsoDateTimeFilter("completed_at", "gt")
    overdue = YesOrNo("due_at", label="Overdue", help_text="Due before now and not completed.")
    search = filters.CharFilter(
        "title",
        label="Search",
        max_length=LONGEST_SEARCH,
        help_text="Each of these words, or parts of words, is in the title or the content. The "
        "best come first: whole words of the title, parts of it, whole words of the content.",
    )
    deleted = YesOrNo(
        "deleted_at",
        label="Deleted",
        help_text="What is in the trash, of your own, instead of what is not.",
    )
    ordering = filters.OrderingFilter(
        fields=["created_at", "updated_at", "due_at", "title"],
        help_text="With - in front: the other way round. What has no `due_at` comes last.",
    )

    class Meta:
        model = Todo
        fields: list[str] = []


FIELDS: dict[str, forms.Field] = {
    name: each.field for name, each in deepcopy(TodoFilters.base_filters).items()
}


def asked_for(parameters: QueryDict) -> dict[str, Any]:
    """What a list is to be narrowed to and ordered by, by the names of the filters.

    One field at a time: a form of them takes longer than the query. Raises ValidationError, by
    name.
    """
    asked, refused = {}, {}
    for name, field in FIELDS.items():  # in their order, so that a list is always one statement
        if name not in parameters:
            continue
        try:
            value = field.clean(field.widget.value_from_datadict(parameters, {}, name))
        except ValidationError as error:
            refused[name] = error
        else:
            if value not in EMPTY_VALUES:
                asked[name] = value
    if refused:
        raise ValidationError(refused)
    if "ordering" in asked:  # of "title," there are two, one of them empty
        asked["ordering"] = [name for name in asked["ordering"] if name]
    if "username" in asked:  # as names are kept: some keyboards send é as e and an accent
        asked["username"] = unicodedata.normalize("NFKC", asked["username"])
    return asked
