"""Fields that refuse what DRF's own would quietly turn into something else."""

from typing import Any

from rest_framework import serializers
from rest_framework.utils import html


class Text(serializers.CharField):
    """A string. DRF's own takes a number too, and makes a string of it."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    """A whole number. DRF's own takes text and 1.0 too; here text comes from a form only."""

    def to_internal_value(self, data: Any) -> int:
        is_form = html.is_html_input(self.root.initial_data)
        if not is_form and type(data) is not int:  # True is an int, too
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """True or false. DRF's own takes 0, "no" and more; here text comes from a form only."""

    def to_internal_value(self, data: Any) -> bool:
        is_form = html.is_html_input(self.root.initial_data)
        if not is_form and not isinstance(data, bool):
            self.fail("invalid", input=data)
        return bool(super().to_internal_value(data))
