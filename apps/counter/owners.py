"""What the counter app keeps for users."""

from apps.counter.models import Counter, Entry, FeedCursor, Owner, Pending
from apps.users import public as users
from kit.holdings import Holdings


class CounterHoldings(Holdings):
    app = "counter"
    alias = "counter"
    owners = Owner
    cursors = FeedCursor
    rows = [(Pending, "counter__owner"), (Entry, "counter__owner"), (Counter, "owner")]
    limited = (Counter, "COUNTERS_PER_ACCOUNT")
    directory = users


COUNTERS = CounterHoldings()
