"""What the counter app announces. No event carries data: whoever hears it asks the door."""

from django.dispatch import Signal

increment_accepted = Signal()
counter_deleted = Signal()
