"""Todos as JSON, and as the browsable API's forms."""

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.http import QueryDict
from rest_framework import serializers

from apps.todos.models import Owner, Todo, no_repeats
from kit.api.fields import Text


class Tags(serializers.ListField):
    """Tags in order. In a form: one to a line, where DRF offers nothing for lists."""

    def get_value(self, dictionary: Mapping[str, Any]) -> Any:
        if isinstance(dictionary, QueryDict) and self.field_name in dictionary:
            given = dictionary.getlist(str(self.field_name))
            if all(isinstance(text, str) for text in given):  # and not an uploaded file
                return [line for text in given for line in text.splitlines() if line.strip()]
            return given
        return super().get_value(dictionary)


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
    completed = serializers.BooleanField(required=False)

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
            "version",
        ]
        extra_kwargs = {
            "content": {"trim_whitespace": False},
            # DRF's own input for a time shows no zone, and fails on what is no time.
            "due_at": {
                "style": {"input_type": "text", "placeholder": "2031-05-01T08:30Z"},
            },
            "completed_at": {"help_text": "Set and cleared by the server."},
            "version": {"help_text": "Counts the changes, from 1."},
        }


class TodoReplacementSerializer(TodoSerializer):
    """With the version that is meant to be replaced, for who cannot send If-Match: a form."""

    version = serializers.IntegerField(
        required=False,
        min_value=1,
        help_text="The version that this replaces. If the todo has changed since, nothing is done.",
    )

    class Meta(TodoSerializer.Meta):
        pass
