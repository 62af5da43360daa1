"""No fault may show as an error of the program; to be away for a moment is no error."""

from collections.abc import Iterator, Sequence

from faults.history import Exchange
from faults.rest import Rest


def server_errors(exchanges: Sequence[Exchange], rest: Rest) -> Iterator[str]:
    """Answers from 500 on, but for 503."""
    for each in exchanges:
        if each.status is not None and each.status >= 500 and each.status != 503:
            yield f"{each.what} {each.subject} at {each.began:.2f} s was answered {each.status}"
