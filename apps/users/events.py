"""What the users app announces. No event carries data: whoever hears it asks the door."""

from django.dispatch import Signal

user_changed = Signal()
deletion_requested = Signal()
password_reset_requested = Signal()
