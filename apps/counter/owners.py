"""What the counter app keeps for users."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.counter.models import Counter, FeedCursor, Increment, Owner
from apps.users import public as users
from kit.holdings import Holdings


class CounterHoldings(Holdings):
    app = "counter"
    alias = "counter"
    owners = Owner
    cursors = FeedCursor
    directory = users

    def rows_of(self, owner_id: UUID) -> list[QuerySet[Any]]:
        return [
            Increment.objects.filter(counter__owner=owner_id),
            Counter.objects.filter(owner=owner_id),
        ]


COUNTERS = CounterHoldings()
