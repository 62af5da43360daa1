"""Counters, and the increments that move them.

An increment lies in the inbox (`Pending`) from the moment it is accepted until the consumer
settles it, and for ever after in the ledger (`Entry`). It is always in exactly one of them:
the consumer moves it in one transaction. `Increment` shows both as one.
"""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

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
    """A tally. `value` is the sum of its applied increments; only the consumer moves it.

    So it does `entries`, how many it has settled, and `settled_at`, when it last did.
    """

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
    entries = models.BigIntegerField(default=0, editable=False)
    settled_at = models.DateTimeField(null=True, editable=False)
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


class Accepted(models.Model):
    """What is known of an increment from its acceptance on: `amount`, once under `key`.

    The foreign key is not checked by the database, which would look at the counter again for
    each increment: whoever writes here has locked the counter, once for all of them.
    """

    id = models.UUIDField(default=new_id, editable=False)
    counter = models.ForeignKey(
        Counter,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    key = models.CharField(max_length=LONGEST_KEY)
    amount = models.IntegerField()
    accepted_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.amount:+d} {self.key}"


AMOUNT_IN_RANGE = Q(amount__range=(-LARGEST_AMOUNT, LARGEST_AMOUNT)) & ~Q(amount=0)


class Pending(Accepted):
    """The inbox: accepted, and to be settled in the order of `position`.

    Kept small, and apart from the ledger, so that accepting and settling cost the same
    however long the ledger is. One that cannot be settled is set aside, with the reason.
    """

    position = models.BigAutoField(primary_key=True)
    slot = models.SmallIntegerField()  # of the counter: see `lanes`
    set_aside_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True, db_default="")

    class Meta:
        verbose_name_plural = "pending"
        constraints = [
            # With the amount, it also answers how much is pending of a counter.
            models.UniqueConstraint(
                fields=["counter", "id"], include=["amount"], name="counter_pending_id"
            ),
            models.CheckConstraint(condition=AMOUNT_IN_RANGE, name="counter_amount_in_range"),
        ]
        indexes = [
            models.Index(
                fields=["position"],
                condition=Q(set_aside_at__isnull=False),
                name="counter_set_aside",
            )
        ]


class Watch(models.Model):
    """A promise of the consumer of a slot: it looks again behind `until`, without being called.

    Known to whoever accepts, who need not call it before.
    """

    slot = models.SmallIntegerField(primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"slot {self.slot} until {self.until}"


class Key(models.Model):
    """Under which key of its counter an increment was accepted, wherever that lies by now.

    Known by a digest of counter and key (see `key_digest`), for there are as many as increments. It
    is removed with its increment, and not before.
    """

    digest = models.BinaryField(primary_key=True)
    increment_id = models.UUIDField()

    def __str__(self) -> str:
        return bytes(self.digest).hex()


def key_digest(counter: Any, key: Any) -> models.Func:
    """The digest of a counter's key, as the database computes it."""
    return models.Func(
        counter, key, function="counter_key_digest", output_field=models.BinaryField()
    )


class Entry(Accepted):
    """The ledger: settled, written once and never changed.

    `place` is its number in the order of its counter, from 1. With a result it was applied,
    and `result` is the counter's value just after it; without one it was refused.
    """

    pk = models.CompositePrimaryKey("counter", "id")
    place = models.BigIntegerField()
    result = models.BigIntegerField(null=True)
    settled_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["counter", "settled_at", "place"],
                condition=Q(result__isnull=False),
                name="counter_value_at",
            ),
            models.Index(
                fields=["counter", "-id"], condition=Q(result=None), name="counter_refused"
            ),
        ]


class Increment(models.Model):
    """Inbox and ledger as one: a database view, only to be read."""

    class State(models.TextChoices):
        PENDING = "pending"
        APPLIED = "applied"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True)
    counter = models.ForeignKey(Counter, on_delete=models.DO_NOTHING, related_name="increments")
    key = models.CharField(max_length=LONGEST_KEY)
    amount = models.IntegerField()
    accepted_at = models.DateTimeField()
    place = models.BigIntegerField(null=True)
    result = models.BigIntegerField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "counter_increment"

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
