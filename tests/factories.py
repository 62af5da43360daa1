"""Users for tests. Without a password given, nobody can sign in by one (and no time is spent)."""

# mypy: disable-error-code="no-untyped-call"
# (factory-boy's declarations have no types)

from factory.declarations import LazyAttribute, Sequence
from factory.django import DjangoModelFactory, Password

from apps.users.models import User

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    username = Sequence(lambda number: f"user{number}")
    email = LazyAttribute(lambda user: f"{user.username}@example.com")
    password = Password(None)
