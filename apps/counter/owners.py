"""What the counter app keeps for users."""

from apps.counter.models import Counter, Entry, FeedCursor, Owner, Pending
from apps.users import public as users
from kit.holdings import Holdings

# An increment's key goes with it, for it belongs to nobody else.
KEYS_OF_GONE = """
DELETE FROM counter_key
WHERE digest = ANY (ARRAY(SELECT counter_key_digest(counter_id, key) FROM gone))
"""


class CounterHoldings(Holdings):
    app = "counter"
    alias = "counter"
    owners = Owner
    cursors = FeedCursor
    rows = [(Pending, "counter__owner"), (Entry, "counter__owner"), (Counter, "owner")]
    attached = {Pending: KEYS_OF_GONE, Entry: KEYS_OF_GONE}
    limited = (Counter, "COUNTERS_PER_ACCOUNT")
    directory = users


COUNTERS = CounterHoldings()
