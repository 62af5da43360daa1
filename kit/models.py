"""The two tables that every app with users' rows keeps in its own database."""

from django.db import models
from django.db.models.functions import Upper


class Owner(models.Model):
    """What this database knows of a user: enough for a foreign key, a name and a fence.

    The row outlives the user. A tombstone is for ever: it is what refuses a late
    creation, and what gives a user away who came back with a restored backup.
    """

    id = models.UUIDField(primary_key=True, editable=False, help_text="The user's id.")
    username = models.CharField(max_length=150, blank=True, help_text="Empty on a tombstone.")
    tombstoned_at = models.DateTimeField(null=True, editable=False)
    purged_rows = models.BigIntegerField(default=0, editable=False)
    purged_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True
        indexes = [models.Index(Upper("username"), name="%(app_label)s_owner_username")]

    def __str__(self) -> str:
        return self.username or f"deleted user {self.id}"


class FeedCursor(models.Model):
    """How far this database has followed the feed of users. One row, with id 1."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    position = models.BigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"position {self.position}"
