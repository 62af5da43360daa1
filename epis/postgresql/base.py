"""Connections that are kept, and looked at before each request without asking the server.

A server that ends a connection says so, or closes its end, so something can be read from it.
One that is silent is as good as it was; one that has gone without a word, as from the network,
would let a question wait too.
"""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Whether the connection still works; the server is asked where that is in doubt."""
        in_doubt = self.connection is None or self.errors_occurred
        return (not in_doubt and self._is_silent()) or super().is_usable()

    def _is_silent(self) -> bool:
        poll = select.poll()
        poll.register(self.connection.pgconn.socket, select.POLLIN)
        return not poll.poll(0)
