"""The secrets that tests plant, and an ear for them in the log of the whole run."""

import logging
import re

from tests.factories import PASSWORD

PASSWORDS = [PASSWORD, "a long pass phrase", "another long pass phrase", "a long enough one"]
# A token's secret, an address of mail, a key of a session or a code from a mail in an address.
KINDS = [r"epis_[\w-]{43}", r"[\w.+-]+@example\.com", r"sessionid=\w", r"password-reset/[\w-]+/\w"]
PLANTED = re.compile("|".join([*map(re.escape, PASSWORDS), *KINDS]))


def secrets_in(log: str) -> list[str]:
    """The lines with a planted secret in them."""
    return [line for line in log.splitlines() if PLANTED.search(line)]


class Overhearing(logging.Handler):
    """Keeps the lines in which something planted would have been written to the log."""

    def __init__(self) -> None:
        from epis.logs import Discreet  # not at the top: this is imported before the settings

        super().__init__()
        self.setFormatter(Discreet("%(name)s %(message)s"))
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told += secrets_in(self.format(record))
