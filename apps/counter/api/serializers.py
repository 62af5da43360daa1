"""Counters and receipts as JSON, and as the browsable API's forms."""

from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.counter.models import LARGEST_AMOUNT, LONGEST_KEY, Counter, Increment, Owner
from kit.api.fields import Text, WholeNumber


class CounterOwnerSerializer(serializers.ModelSerializer[Owner]):
    class Meta:
        model = Owner
        fields = ["id", "username"]
        read_only_fields = fields


class PendingSerializer(serializers.Serializer[Counter]):
    count = serializers.IntegerField(source="pending_count")
    amount = serializers.IntegerField(source="pending_amount")


class CounterSerializer(serializers.ModelSerializer[Counter]):
    serializer_field_mapping = serializers.ModelSerializer.serializer_field_mapping | {
        models.CharField: Text,
    }

    owner = CounterOwnerSerializer(read_only=True)
    pending = PendingSerializer(
        source="*", read_only=True, help_text="Accepted, and not yet part of `value`."
    )

    class Meta:
        model = Counter
        fields = [
            "id",
            "name",
            "description",
            "visibility",
            "owner",
            "value",
            "pending",
            "created_at",
            "updated_at",
        ]
        validators: list[Any] = []  # that a name is taken is decided when it is written
        extra_kwargs = {
            "name": {"help_text": "Unlike those of your other counters."},
            "value": {"help_text": "The sum of what is applied."},
        }


@extend_schema_field(
    {
        "type": "integer",
        "minimum": -LARGEST_AMOUNT,
        "maximum": LARGEST_AMOUNT,
        "not": {"enum": [0]},
    }
)
class Amount(WholeNumber):
    """How much to count. Which amounts are taken is decided where they are accepted."""


@extend_schema_field({"type": "string", "pattern": f"^[!-~]{{1,{LONGEST_KEY}}}$"})
class Key(Text):
    """An idempotency key. Which keys are taken is decided where they are."""


class NewIncrementSerializer(serializers.Serializer[Increment]):
    amount = Amount(default=1)
    key = Key(
        required=False,
        trim_whitespace=False,
        help_text="Makes sending it again harmless. Or send it as the `Idempotency-Key` header.",
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Take the key from the header, unless the body has another."""
        header = self.context["request"].headers.get("Idempotency-Key")
        if header is None:
            return given
        if given.get("key", header) != header:
            message = "This is not the key in the Idempotency-Key header."
            raise serializers.ValidationError({"key": message}, code="keys_differ")
        return given | {"key": header}


class ReceiptSerializer(serializers.ModelSerializer[Increment]):
    counter = serializers.UUIDField(source="counter_id", read_only=True)
    state = serializers.ChoiceField(choices=Increment.State.choices, read_only=True)
    applied_at = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = Increment
        fields = ["id", "counter", "key", "amount", "state", "result", "accepted_at", "applied_at"]
        read_only_fields = fields
        extra_kwargs = {
            "result": {"help_text": "The counter's value just after this increment."},
        }
