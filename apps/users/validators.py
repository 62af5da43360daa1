"""Which passwords are refused beside those that Django's own validators refuse."""

from typing import Any

from django.core.exceptions import ValidationError

FEWEST_CHARACTERS = 8  # as of any password


class NotTheService:
    """Refuses a password of which too little is left without the name of the service.

    Whoever guesses tries it first (ASVS 6.2.11), with a year or some digits behind it.
    """

    NAME = "epis"

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError."""
        name, left = self.NAME, password.casefold().replace(self.NAME, "")
        if left != password.casefold() and len(left) < FEWEST_CHARACTERS:
            told = f"Without \u201c{name}\u201d in it, it is shorter than a password may be."
            raise ValidationError(told, code="password_names_the_service")

    def get_help_text(self) -> str:
        return f"Your password can\u2019t be the name of this service, {self.NAME}, and a bit more."
