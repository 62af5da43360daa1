"""Todos, what has become of them since they were created, and their owners."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from kit.ids import new_id
from kit.models import FeedCursor as AbstractFeedCursor
from kit.models import Owner as AbstractOwner


class Owner(AbstractOwner):
    """A user, as far as todos know of them.

    `position` is that of the latest change of one of their todos, `swept_position` the highest
    of those that the sweep of the trash has made unknown again.
    """

    position = models.BigIntegerField(db_default=0, editable=False)
    swept_position = models.BigIntegerField(db_default=0, editable=False)


class FeedCursor(AbstractFeedCursor):
    """How far todos have followed the feed of users."""


def no_repeats(tags: list[str]) -> None:
    """Validator: raises ValidationError where a tag is given twice."""
    if len(set(tags)) < len(tags):
        raise ValidationError("A tag was given more than once.", code="repeated")


class Todo(models.Model):
    """Something that its owner has to do. `version` counts its changes, from 1.

    With `deleted_at` it is in the trash. `position` is that of its creation among the changes of
    its owner's todos, and `key` what it was created under, once for each owner: an
    Idempotency-Key, or behind a blank (which no such key has) a line of an import. With an
    Idempotency-Key `created_as` is the owner's name of then, which the first answer has.
    """

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
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    position = models.BigIntegerField(db_default=0, editable=False)
    key = models.CharField(max_length=256, null=True, editable=False)  # noqa: DJ001 - none is none
    created_as = models.CharField(
        max_length=150, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "key"], condition=Q(key__isnull=False), name="todos_key_once"
            )
        ]
        indexes = [
            # With deleted_at, so that a list passes over the trash without fetching it.
            models.Index(fields=["owner", "-id", "deleted_at"], name="todos_of_owner"),
            models.Index(fields=["owner", "due_at"], name="todos_of_owner_due"),
            models.Index(fields=["owner", "position", "id"], name="todos_of_owner_position"),
            models.Index(fields=["-id"], condition=Q(visibility="public"), name="todos_public"),
            models.Index(
                fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="todos_trash"
            ),
            GinIndex(fields=["tags"], name="todos_tags"),
            # A function of migration 0003: every part of three letters, and who may see it. Each
            # search would read what was put aside for a later update, which costs it more than
            # the update costs who writes.
            GinIndex(
                models.Func(
                    "owner_id", "visibility", "title", "content", function="todos_found_by"
                ),
                fastupdate=False,
                name="todos_found_by",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def completed(self) -> bool:
        return self.completed_at is not None

    @property
    def username(self) -> str:
        """The owner's."""
        return self.owner.username


class Change(models.Model):
    """What one change of a todo has made of which fields; its creation is none.

    `changes` has, by field, what it was and what it became. `version` is the todo's behind the
    change. The database does not check the foreign keys to the todo, which would cost a look at
    this table for each todo that goes (whoever deletes a todo deletes these first, under the same
    lock), nor to who it was, of whom this database may not have heard.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(
        Owner,
        on_delete=models.DO_NOTHING,
        related_name="changes",
        db_index=False,  # todos_changes_of_owner begins with it
    )
    todo = models.ForeignKey(
        Todo,
        on_delete=models.DO_NOTHING,
        related_name="changes",
        db_index=False,  # todos_change_once begins with it
        db_constraint=False,
    )
    version = models.PositiveIntegerField()
    position = models.BigIntegerField()
    at = models.DateTimeField()
    by = models.ForeignKey(
        Owner,
        on_delete=models.DO_NOTHING,
        related_name="+",
        null=True,  # so that it is looked up where it may not be
        db_index=False,
        db_constraint=False,
    )
    changes = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["todo", "version"], name="todos_change_once")
        ]
        indexes = [
            models.Index(fields=["owner", "id"], name="todos_changes_of_owner"),
            models.Index(fields=["owner", "position", "todo"], name="todos_changes_position"),
        ]

    def __str__(self) -> str:
        return f"version {self.version} of {self.todo_id}"


class Version(models.Model):
    """Creation and changes of a todo as one: a database view, only to be read."""

    class Action(models.TextChoices):
        CREATED = "created"
        CHANGED = "changed"
        DELETED = "deleted"
        RESTORED = "restored"  # from the trash

    id = models.UUIDField(primary_key=True)
    todo = models.ForeignKey(Todo, on_delete=models.DO_NOTHING, related_name="versions")
    version = models.PositiveIntegerField()
    at = models.DateTimeField()
    by = models.ForeignKey(Owner, on_delete=models.DO_NOTHING, related_name="+", null=True)
    changes = models.JSONField()

    class Meta:
        managed = False
        db_table = "todos_version"

    def __str__(self) -> str:
        return f"version {self.version} of {self.todo_id}"

    @property
    def action(self) -> Action:
        if self.version == 1:
            return self.Action.CREATED
        if "deleted_at" not in self.changes:
            return self.Action.CHANGED
        _, became = self.changes["deleted_at"]
        return self.Action.RESTORED if became is None else self.Action.DELETED


class Label(models.Model):
    """A name that an owner has given to todos, and to how many: a database view."""

    owner = models.ForeignKey(Owner, on_delete=models.DO_NOTHING, related_name="+")
    name = models.CharField(max_length=64, primary_key=True)  # of one owner
    count = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Tag(Label):
    class Meta:
        managed = False
        db_table = "todos_tag"


class Category(Label):
    class Meta:
        managed = False
        db_table = "todos_category"
