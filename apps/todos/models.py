"""Todos and their owners."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Upper

from kit.ids import new_id
from kit.models import FeedCursor as AbstractFeedCursor
from kit.models import Owner as AbstractOwner


class Owner(AbstractOwner):
    """A user, as far as todos know of them."""


class FeedCursor(AbstractFeedCursor):
    """How far todos have followed the feed of users."""


def no_repeats(tags: list[str]) -> None:
    """Validator: raises ValidationError where a tag is given twice."""
    if len(set(tags)) < len(tags):
        raise ValidationError("A tag was given more than once.", code="repeated")


class Todo(models.Model):
    """Something that its owner has to do. `version` counts its changes, from 1."""

    class Visibility(models.TextChoices):
        PRIVATE = "private"
        PUBLIC = "public"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(
        Owner,
        on_delete=models.DO_NOTHING,
        related_name="todos",
        db_index=False,  # todos_of_owner begins with it
    )
    title = models.CharField(max_length=200)
    content = models.TextField(max_length=50_000, blank=True)
    category = models.CharField(max_length=64, blank=True)
    tags = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        size=20,
        validators=[no_repeats],
    )
    due_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, editable=False)
    visibility = models.CharField(max_length=7, choices=Visibility, default=Visibility.PRIVATE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="todos_of_owner"),
            models.Index(fields=["owner", "due_at"], name="todos_of_owner_due"),
            models.Index(
                fields=["-id"],
                condition=models.Q(visibility="public"),
                name="todos_public",
            ),
            GinIndex(fields=["tags"], name="todos_tags"),
            GinIndex(OpClass(Upper("title"), "gin_trgm_ops"), name="todos_title_parts"),
            GinIndex(OpClass(Upper("content"), "gin_trgm_ops"), name="todos_content_parts"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def completed(self) -> bool:
        return self.completed_at is not None
