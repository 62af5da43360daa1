"""Counters and receipts as JSON, and as the browsable API's forms."""

from datetime import UTC, datetime
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.counter.accepting import Receipt
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
        source="*",
        read_only=True,
        allow_null=True,
        help_text="Accepted, and not yet part of `value`. Null for a moment of the past.",
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
    """For the schema and for forms; `asking` reads JSON by itself."""

    amount = Amount(default=1)
    key = Key(
        required=False,
        trim_whitespace=False,
        help_text="Makes sending it again harmless. Or send it as the `Idempotency-Key` header.",
    )


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

    def to_representation(self, instance: Increment) -> dict[str, Any]:
        return receipt_of(instance)


class AddressSerializer(serializers.Serializer[Receipt]):
    key = serializers.CharField()
    id = serializers.UUIDField()


class AcceptedSerializer(serializers.Serializer[Any]):
    """For the schema."""

    accepted = serializers.IntegerField(help_text="How many were new.")
    duplicates = serializers.IntegerField(help_text="How many had a key that was known already.")
    results = AddressSerializer(many=True, help_text="In the order of the array.")


def receipt_of(increment: Increment | Receipt) -> dict[str, Any]:
    """What ReceiptSerializer says, whose fields would take longer than accepting it did."""
    return {
        "id": str(increment.id),
        "counter": str(increment.counter_id),
        "key": increment.key,
        "amount": increment.amount,
        "state": increment.state,
        "result": increment.result,
        "accepted_at": in_utc(increment.accepted_at),
        "applied_at": in_utc(increment.applied_at) if increment.applied_at else None,
    }


def in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
