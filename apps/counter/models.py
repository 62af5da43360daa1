"""Counters and the ledger that proves them."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from kit.ids import new_id
from kit.models import FeedCursor as AbstractFeedCursor
from kit.models import Owner as AbstractOwner

LARGEST_AMOUNT = 10**9
LONGEST_KEY = 255


class Owner(AbstractOwner):
    """A user, as far as counters know of them."""


class FeedCursor(AbstractFeedCursor):
    """How far counters have followed the feed of users."""


class Counter(models.Model):
    """A tally. `value` is the sum of its applied increments; only the consumer moves it."""

    class Visibility(models.TextChoices):
        PRIVATE = "private"
        PUBLIC = "public"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The indexes below serve the foreign keys too.
    owner = models.ForeignKey(
        Owner, on_delete=models.DO_NOTHING, related_name="counters", db_index=False
    )
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=1000, blank=True)
    visibility = models.CharField(max_length=7, choices=Visibility, default=Visibility.PRIVATE)
    value = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=Q(deleted_at=None),
                name="counter_name_taken",
            )
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="counter_of_owner"),
            models.Index(fields=["-id"], condition=Q(visibility="public"), name="counter_public"),
            models.Index(
                fields=["id"], condition=Q(deleted_at__isnull=False), name="counter_deleted"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Increment(models.Model):
    """One entry of the ledger: `amount`, to be counted exactly once under `key`.

    Pending until settled. Settled with a result, it is applied, and `result` is the
    counter's value just after it; settled without one, it is refused.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPLIED = "applied"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    counter = models.ForeignKey(
        Counter, on_delete=models.DO_NOTHING, related_name="increments", db_index=False
    )
    key = models.CharField(max_length=LONGEST_KEY)
    amount = models.IntegerField()
    accepted_at = models.DateTimeField(auto_now_add=True)
    result = models.BigIntegerField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["counter", "key"], name="counter_key_once"),
            models.CheckConstraint(
                condition=Q(amount__range=(-LARGEST_AMOUNT, LARGEST_AMOUNT)) & ~Q(amount=0),
                name="counter_amount_in_range",
            ),
            models.CheckConstraint(
                condition=Q(result=None) | Q(settled_at__isnull=False),
                name="counter_result_is_settled",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(settled_at=None), name="counter_pending"),
            models.Index(
                fields=["counter", "amount"],
                condition=Q(settled_at=None),
                name="counter_pending_of",
            ),
            models.Index(
                fields=["counter", "-id"],
                condition=Q(settled_at__isnull=False, result=None),
                name="counter_refused",
            ),
            models.Index(fields=["counter", "-id"], name="counter_ledger"),
        ]

    def __str__(self) -> str:
        return f"{self.amount:+d} {self.key}"

    @property
    def state(self) -> State:
        if self.settled_at is None:
            return self.State.PENDING
        return self.State.REFUSED if self.result is None else self.State.APPLIED

    @property
    def applied_at(self) -> datetime | None:
        return None if self.result is None else self.settled_at
