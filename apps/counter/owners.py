"""What the counter app keeps for users."""

from apps.counter.models import Counter, FeedCursor, Increment, Owner
from apps.users import public as users
from kit.holdings import Holdings


class CounterHoldings(Holdings):
    app = "counter"
    alias = "counter"
    owners = Owner
    cursors = FeedCursor
    rows = [(Increment, "counter__owner"), (Counter, "owner")]
    directory = users


COUNTERS = CounterHoldings()
