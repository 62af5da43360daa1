"""What the counter app announces. At most ids are carried: whoever hears it asks the door."""

from django.dispatch import Signal

increments_accepted = Signal()  # counter_ids: the counters that they are of
counter_deleted = Signal()
