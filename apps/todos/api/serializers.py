"""Todos as JSON, and as the browsable API's forms."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.settings import api_settings

from apps.todos.models import Label, Owner, Todo, Version, no_repeats
from apps.todos.queries.listing import Listed
from kit.api.fields import Flag, Text, WholeNumber

NON_FIELD = api_settings.NON_FIELD_ERRORS_KEY
MOST_ITEMS = 1_000  # of a bulk


class Tags(serializers.ListField):
    """Tags in order. In a form: one to a line, where DRF offers nothing for lists."""

    def get_value(self, dictionary: Mapping[str, Any]) -> Any:
        if isinstance(dictionary, QueryDict) and self.field_name in dictionary:
            given = dictionary.getlist(str(self.field_name))
            if all(isinstance(text, str) for text in given):  # and not an uploaded file
                return [line for text in given for line in text.splitlines() if line.strip()]
            return given
        return super().get_value(dictionary)


def moment(time: datetime | str) -> str:
    """RFC 3339, in UTC, as it is kept; text is as PostgreSQL writes it."""
    if isinstance(time, str):
        if len(time) == len("2031-05-01 08:30:00.123456+00"):
            return f"{time[:10]}T{time[11:26]}Z"
        time = datetime.fromisoformat(time)
    return time.isoformat().replace("+00:00", "Z")


def represent(todo: Todo | Listed) -> dict[str, Any]:
    """A todo as JSON has it."""
    return {
        "id": str(todo.id),
        "owner": {"id": str(todo.owner_id), "username": todo.username},
        "title": todo.title,
        "content": todo.content,
        "category": todo.category,
        "tags": todo.tags,
        "due_at": todo.due_at and moment(todo.due_at),
        "completed": todo.completed_at is not None,
        "completed_at": todo.completed_at and moment(todo.completed_at),
        "visibility": todo.visibility,
        "created_at": moment(todo.created_at),
        "updated_at": moment(todo.updated_at),
        "deleted_at": todo.deleted_at and moment(todo.deleted_at),
        "version": todo.version,
    }


class TodoOwnerSerializer(serializers.ModelSerializer[Owner]):
    class Meta:
        model = Owner
        fields = ["id", "username"]


class TodoSerializer(serializers.ModelSerializer[Todo]):
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: Text,
        models.TextField: Text,
    }

    owner = TodoOwnerSerializer(read_only=True)
    tags = Tags(
        child=Text(max_length=50),
        max_length=20,
        validators=[no_repeats],
        required=False,
        help_text="Up to 20, in your order, none twice.",
        style={"template": "todos/tags.html"},
    )
    completed = Flag(required=False)

    class Meta:
        model = Todo
        fields = [
            "id",
            "owner",
            "title",
            "content",
            "category",
            "tags",
            "due_at",
            "completed",
            "completed_at",
            "visibility",
            "created_at",
            "updated_at",
            "deleted_at",
            "version",
        ]
        extra_kwargs = {
            "content": {"trim_whitespace": False},
            # DRF's own input for a time shows no zone, and fails on what is no time.
            "due_at": {
                "style": {"input_type": "text", "placeholder": "2031-05-01T08:30Z"},
            },
            "completed_at": {"help_text": "Set and cleared by the server."},
            # DRF's own message repeats what was sent, which a file may have half characters in.
            "visibility": {
                "error_messages": {"invalid_choice": "This must be private or public."},
            },
            "deleted_at": {"help_text": "Of one in the trash."},
            "version": {"help_text": "Counts the changes, from 1."},
        }

    def to_representation(self, instance: Todo) -> dict[str, Any]:
        """By hand: DRF would ask each field of each todo, which takes longer than the query."""
        return represent(instance)


FIELDS = {
    name: field
    for name, field in TodoSerializer(data={}).fields.items()  # one may ask if it was given a form
    if not field.read_only
}


def fields_of_new(data: Any) -> dict[str, Any] | None:
    """What somebody wants to create, as JSON had it; None if there is anything wrong with it.

    By the serializer's fields, but only those that were given: it asks all of them what to do
    about nothing, which takes as long again.
    """
    if type(data) is not dict or "title" not in data:  # nor a form, which is a dict of its own
        return None
    try:
        return {name: FIELDS[name].run_validation(data[name]) for name in data if name in FIELDS}
    except serializers.ValidationError:
        return None


class TodoReplacementSerializer(TodoSerializer):
    """With the version that is meant to be replaced, for who cannot send If-Match: a form."""

    version = WholeNumber(
        required=False,
        min_value=1,
        help_text="The version that this replaces. If the todo has changed since, nothing is done.",
    )

    class Meta(TodoSerializer.Meta):
        pass


class FieldChangeSerializer(serializers.Serializer):
    """What a field was, and what it became."""

    def get_fields(self) -> dict[str, Any]:  # `from` is no name for an attribute
        return {"from": serializers.JSONField(), "to": serializers.JSONField()}


class VersionSerializer(serializers.ModelSerializer[Version]):
    action = serializers.ChoiceField(Version.Action.choices, read_only=True)
    by = TodoOwnerSerializer(read_only=True, help_text="Who it was; no name if deleted since.")
    changes = serializers.DictField(child=FieldChangeSerializer(), read_only=True)

    class Meta:
        model = Version
        fields = ["version", "action", "at", "by", "changes"]

    def to_representation(self, instance: Version) -> dict[str, Any]:
        by, by_id = instance.by, instance.by_id
        return {
            "version": instance.version,
            "action": instance.action.value,
            "at": moment(instance.at),
            "by": {"id": str(by_id), "username": by.username if by else ""},
            "changes": {
                name: {"from": was, "to": became}
                for name, (was, became) in instance.changes.items()
            },
        }


class LabelSerializer(serializers.Serializer[Label]):
    """A tag or a category, and how many todos have it."""

    name = serializers.CharField()
    count = serializers.IntegerField()


class ChangedSerializer(serializers.Serializer):
    """A todo that was created or changed; `deleted`: it is in the trash."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    deleted = serializers.BooleanField()


class ChangesSerializer(serializers.Serializer):
    """`cursor`: the `since` of the next question. `next`: its address, if there is more already."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ChangedSerializer(many=True)
    cursor = serializers.CharField()


class EditSerializer(TodoSerializer):
    """A change in a bulk: as in a PATCH, with the id, and the version that it is meant for."""

    id = serializers.UUIDField()
    version = WholeNumber(required=False, min_value=1)

    class Meta(TodoSerializer.Meta):
        extra_kwargs = {**TodoSerializer.Meta.extra_kwargs, "title": {"required": False}}


class BulkSerializer(serializers.Serializer):
    """Up to 1,000 in all, and up to 10 MiB."""

    def get_fields(self) -> dict[str, Any]:  # two of them are names of DRF's methods
        return {
            "create": TodoSerializer(many=True, required=False),
            "update": EditSerializer(many=True, required=False),
            "delete": serializers.ListField(child=serializers.UUIDField(), required=False),
        }

    def to_internal_value(self, data: Any) -> Any:
        """Counts first: to look at each of a million would be work for nothing."""
        lists = [data.get(name) for name in self.fields] if isinstance(data, Mapping) else []
        number = sum(len(each) for each in lists if isinstance(each, list))
        if number > MOST_ITEMS:
            message = f"At most {MOST_ITEMS:,} in all, not {number:,}."
            raise serializers.ValidationError({NON_FIELD: [message]}, code="max_length")
        return super().to_internal_value(data)


class BulkResultSerializer(serializers.Serializer):
    """Those created, updated and deleted, as they are now, in the order of the request."""

    results = TodoSerializer(many=True)


class BrokenLineSerializer(serializers.Serializer):
    """`todo`: which of those that begin on the line."""

    line = serializers.IntegerField()
    todo = serializers.IntegerField()
    detail = serializers.JSONField()


class ImportedSerializer(serializers.Serializer):
    """`known`: were there already. `lines`: of those that are broken, the first hundred."""

    added = serializers.IntegerField()
    known = serializers.IntegerField()
    broken = serializers.IntegerField()
    lines = BrokenLineSerializer(many=True)


class ImportedTodoSerializer(TodoSerializer):
    """A todo of a file: also with what the server sets otherwise."""

    id = Text(max_length=200, required=False, allow_null=True)
    completed = serializers.BooleanField(required=False)  # type: ignore[assignment]  # is text
    completed_at = serializers.DateTimeField(required=False, allow_null=True)
    created_at = serializers.DateTimeField(required=False)
    updated_at = serializers.DateTimeField(required=False)
    deleted_at = serializers.DateTimeField(required=False, allow_null=True)

    class Meta(TodoSerializer.Meta):
        pass
