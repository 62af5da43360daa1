"""How a log line looks, whoever wrote it: without what lets somebody in, or says who it was.

Nothing here logs such things on purpose. But an address of a page, or what a database says of a
row, may hold them, and libraries log both.
"""

import logging
import re

UNSAID = "[…]"
# Possessive, and from the beginning of a word only: a line may hold an address or a header as
# long as a client likes, and all else waits while it is looked through.
SECRETS = re.compile(
    r"epis_[\w-]{8,}"  # a token
    r"|(?<=[Bb]earer )\S+"
    r"|(?<=sessionid=)\w+"
    r"|(?<=://)[^\s/:@]*+:[^\s/@]++(?=@)"  # a user and a password in the address of a server
    r"|(?<=/password-reset/)[^\s?]+"  # a code from a mail
    r"|(?<![\w.+-])[\w.+-]++@(?:[\w-]++\.)+\w+"  # whose mail
)


class Discreet(logging.Formatter):
    """A formatter that leaves out tokens, codes, passwords of servers and addresses of mail."""

    def format(self, record: logging.LogRecord) -> str:
        return SECRETS.sub(UNSAID, super().format(record))


class WithoutTraceback(logging.Filter):
    """For what any stranger can make Django log, and whose message says all there is to know."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True
