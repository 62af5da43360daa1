"""Accounts, their tokens and sessions, the feed of changes, and deletions.

The feed is written by the database: a trigger on the users' table (migration
`0002_feed`) allots the next position to every change of an account, whoever makes it.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.module_loading import import_string

from kit.ids import new_id


class User(AbstractUser):
    """An account. `closed_at` is set while its deletion is scheduled or under way."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    date_joined = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]

    class Meta(AbstractUser.Meta):
        swappable = ""
        constraints = [
            models.UniqueConstraint(
                Upper("username"),
                name="users_username_taken",
                violation_error_message="A user with that username already exists.",
            )
        ]
        indexes = [
            GinIndex(OpClass(Upper("username"), "gin_trgm_ops"), name="users_username_parts"),
            GinIndex(OpClass(Upper("email"), "gin_trgm_ops"), name="users_email_parts"),
        ]

    @property
    def has_powers(self) -> bool:
        """Whether it may do more than an ordinary account."""
        return self.is_staff or self.is_superuser

    def get_full_name(self) -> str:
        return self.username

    def get_short_name(self) -> str:
        return self.username


class Token(models.Model):
    """A bearer token. The secret is shown once; only its SHA-256 digest is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=100, blank=True)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name or str(self.id)


class Session(AbstractBaseSession):
    """A browser's session, findable by its user so that it can be revoked."""

    user_id = models.UUIDField(null=True, db_index=True)

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
        return store


class SignInTries(models.Model):
    """How often an address or an account was tried in the current window."""

    who = models.CharField(max_length=80, primary_key=True)
    window_ends_at = models.DateTimeField(db_index=True)
    tries = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.who}: {self.tries}"


class KnownAddress(models.Model):
    """An address from which an account was signed in to of late.

    Tries from there have a limit of their own, so that no stranger can use it up.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=64)
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "address"], name="users_known_address")
        ]

    def __str__(self) -> str:
        return self.address


class ResetRequest(models.Model):
    """Somebody asked for a new password by mail; noted whether or not there is such an account.

    It is removed when the mail is out. `next_at`: when it is to be sent, or to be tried again.
    """

    id = models.BigAutoField(primary_key=True)
    username = models.CharField(max_length=150)
    requested_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"reset request {self.id}"


class FeedHead(models.Model):
    """The latest position of the feed: one row, whose lock puts changes in order of commit."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    position = models.BigIntegerField()

    def __str__(self) -> str:
        return f"position {self.position}"


class UserChange(models.Model):
    """A position in the feed: this account was created, renamed, closed, reopened or removed."""

    position = models.BigIntegerField(primary_key=True)
    user_id = models.UUIDField(db_index=True)

    def __str__(self) -> str:
        return f"{self.position}: {self.user_id}"


class Deletion(models.Model):
    """The deletion of one account: a job to be watched, and later its certificate.

    Holds no foreign key to the account, which it outlives.
    """

    class State(models.TextChoices):
        SCHEDULED = "scheduled"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        CANCELLED = "cancelled"

    OPEN = (State.SCHEDULED, State.RUNNING, State.PAUSED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.UUIDField(editable=False, db_index=True)
    state = models.CharField(max_length=9, choices=State, default=State.SCHEDULED, editable=False)
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    starts_at = models.DateTimeField(editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    verified_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id"],
                condition=models.Q(state__in=["scheduled", "running", "paused"]),
                name="users_one_open_deletion",
            )
        ]
        indexes = [
            models.Index(
                fields=["starts_at"],
                condition=models.Q(state__in=["scheduled", "running"]),
                name="users_deletion_due",
            )
        ]

    def __str__(self) -> str:
        return f"deletion {self.id}"

    @property
    def progress(self) -> float:
        """From 0 to 1, never going back. Each app counts alike: its total is found on the way."""
        if self.state == self.State.DONE:
            return 1.0
        steps = self.steps.all()
        return sum(step.progress for step in steps) / len(steps) if steps else 0.0

    @property
    def rows_left(self) -> int | None:
        """None until every app has been looked at."""
        left = [step.rows_left for step in self.steps.all()]
        return None if None in left else sum(filter(None, left))

    @property
    def rows_per_second(self) -> float | None:
        """As of late; None while nothing is being deleted."""
        if self.state != self.State.RUNNING:
            return None
        rates = [step.rate for step in self.steps.all() if step.state == DeletionStep.State.RUNNING]
        return sum(filter(None, rates)) or None

    @property
    def outlook(self) -> str:
        """In words: how much is left, how fast it goes, how long it will take, what is wrong."""
        words = [] if self.rows_left in (None, 0) else [f"{self.rows_left:,} rows left"]
        if self.rows_per_second is not None:
            words.append(f"{self.rows_per_second:,.0f} a second")
        if self.seconds_left is not None:
            words.append(f"{timedelta(seconds=round(self.seconds_left))} to go")
        failing = [step for step in self.steps.all() if step.retry_at]
        words += [f"{step.app} failed {step.failures} time(s)" for step in failing]
        return ", ".join(words) if self.state in self.OPEN else ""

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None where there is none, or where it is not known how much is left."""
        if self.rows_left is None or self.rows_per_second is None:
            return None
        return self.rows_left / self.rows_per_second


class DeletionStep(models.Model):
    """What one app has to delete. `deleted` copies what that app counted where it deleted.

    `next_at` is when it is next to be worked on. It puts the steps of all deletions into one
    fair queue: a step that had its turn goes to the end, one that failed waits a while.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        DONE = "done"

    UNDONE = (State.PENDING, State.RUNNING)

    id = models.BigAutoField(primary_key=True)
    deletion = models.ForeignKey(
        Deletion,
        on_delete=models.CASCADE,
        related_name="steps",
        db_index=False,  # users_one_step_per_app begins with it
    )
    app = models.CharField(max_length=50)
    state = models.CharField(max_length=7, choices=State, default=State.PENDING)
    deleted = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    reported_at = models.DateTimeField(null=True)
    rate = models.FloatField(null=True, help_text="Rows a second, of late.")
    next_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveIntegerField(default=0, help_text="In a row, up to now.")
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["deletion", "app"], name="users_one_step_per_app")
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                condition=models.Q(state__in=["pending", "running"]),
                name="users_step_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.app}: {self.state}"

    @property
    def progress(self) -> float:
        if self.state == self.State.DONE:
            return 1.0
        return self.deleted / self.total if self.total else 0.0

    @property
    def rows_left(self) -> int | None:
        if self.state == self.State.DONE:
            return 0
        return None if self.total is None else self.total - self.deleted

    @property
    def retry_at(self) -> datetime | None:
        """When it is tried again, after it has failed."""
        return self.next_at if self.failures and self.state != self.State.DONE else None
