"""Connections that are kept, and looked at before each request without asking the server.

A server that ends a connection says so, or closes its end, so something can be read from it.
One that is silent is as good as it was; one that has gone without a word, as from the network,
would let a question wait too.
"""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Whether the connection still works; the server is asked where that is in doubt."""
        is_idle = (
            self.connection is not None
            and not self.errors_occurred
            # Not in the middle of a statement, nor closed.
            and self.connection.pgconn.transaction_status == TransactionStatus.IDLE
        )
        return (is_idle and self._is_silent()) or super().is_usable()

    def _is_silent(self) -> bool:
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0)
