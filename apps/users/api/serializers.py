"""What the users' part of the API takes and shows."""

from typing import Any

from django.contrib.auth.validators import UnicodeUsernameValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.users.models import Deletion, DeletionStep, Token, User
from kit.api.fields import Flag, Text, WholeNumber

PASSWORD_LENGTH = 1_000
LIFETIME_SECONDS = 10 * 365 * 24 * 60 * 60


def is_a_name(text: str) -> None:
    """Raises ValidationError. Not as a pattern in the schema, where \\w would be ASCII only."""
    UnicodeUsernameValidator()(text)


class UsernameField(Text):
    """A name in the form in which it is kept (NFKC), so that this form is what is checked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=150, validators=[is_a_name], **options)

    def to_internal_value(self, data: Any) -> str:
        return User.normalize_username(super().to_internal_value(data))


class PasswordField(Text):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            write_only=True,
            max_length=PASSWORD_LENGTH,
            trim_whitespace=False,
            style={"input_type": "password"},
            **options,
        )


class UserSerializer(serializers.Serializer[User]):
    id = serializers.UUIDField(read_only=True)
    username = UsernameField(help_text="Letters, digits and @ . + - _; unique, ignoring case.")
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


class RegistrationSerializer(UserSerializer):
    password = PasswordField()


class CredentialsSerializer(serializers.Serializer[Any]):
    username = Text(max_length=150)
    password = PasswordField()
    name = Text(
        max_length=100,
        required=False,
        allow_blank=True,
        help_text="Where the token will be used, to know it by later.",
    )
    expires_in = WholeNumber(
        min_value=1,
        max_value=LIFETIME_SECONDS,
        required=False,
        allow_null=True,
        help_text="Seconds; without it the token lasts until it is revoked.",
    )


class PasswordChangeSerializer(serializers.Serializer[Any]):
    password = PasswordField(help_text="The present one.")
    new_password = PasswordField()
    keep_tokens = Flag(
        default=False,
        help_text="Leave your other tokens as they are. Other sessions end in any case.",
    )


class ResetRequestSerializer(serializers.Serializer[Any]):
    username = UsernameField()


class ResetAvailableSerializer(serializers.Serializer[Any]):
    available = serializers.BooleanField(help_text="Whether this service sends mail.")


class ResetCodeSerializer(serializers.Serializer[Any]):
    valid = serializers.BooleanField(help_text="Whether this code would be taken just now.")


class NewPasswordSerializer(serializers.Serializer[Any]):
    new_password = PasswordField()


class DetailSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()


class TokenSerializer(serializers.ModelSerializer[Token]):
    class Meta:
        model = Token
        fields = ["id", "name", "created_at", "expires_at", "last_used_at"]


class NewTokenSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    token = serializers.CharField(help_text="The secret: shown once, never again.")
    name = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)


class DeletionStepSerializer(serializers.ModelSerializer[DeletionStep]):
    total = serializers.IntegerField(
        allow_null=True, help_text="Null until this app has been looked at."
    )

    retry_at = serializers.DateTimeField(
        allow_null=True, help_text="Null unless the step has failed: when it is tried again."
    )

    class Meta:
        model = DeletionStep
        fields = ["app", "state", "deleted", "total", "started_at", "finished_at", "retry_at"]


class CertificateSerializer(serializers.Serializer[Any]):
    deleted = serializers.DictField(
        child=serializers.IntegerField(), help_text="Rows deleted, by app."
    )
    orphans = serializers.IntegerField(help_text="Rows of the user that were left: none.")
    verified_at = serializers.DateTimeField()


class DeletionSerializer(serializers.ModelSerializer[Deletion]):
    progress = serializers.FloatField(min_value=0, max_value=1)
    rows_left = serializers.IntegerField(
        allow_null=True, help_text="Null until every app has been looked at."
    )
    rows_per_second = serializers.FloatField(
        allow_null=True, help_text="As of late; null while nothing is being deleted."
    )
    seconds_left = serializers.FloatField(
        allow_null=True, help_text="At this rate; null while there is none."
    )
    steps = DeletionStepSerializer(many=True)
    certificate = serializers.SerializerMethodField()

    class Meta:
        model = Deletion
        fields = [
            "id",
            "user_id",
            "state",
            "requested_at",
            "starts_at",
            "finished_at",
            "progress",
            "rows_left",
            "rows_per_second",
            "seconds_left",
            "steps",
            "certificate",
        ]

    @extend_schema_field(CertificateSerializer(allow_null=True))
    def get_certificate(self, deletion: Deletion) -> dict[str, Any] | None:
        """Null until done, which a deletion is only after a scan has found nothing left."""
        if deletion.state != Deletion.State.DONE:
            return None
        certificate = {
            "deleted": {step.app: step.deleted for step in deletion.steps.all()},
            "orphans": 0,
            "verified_at": deletion.verified_at,
        }
        return CertificateSerializer(certificate).data
