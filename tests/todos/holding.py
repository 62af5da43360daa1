"""A creation held at its narrowest, in the middle of its statement.

It has its turn, and its row is about to be inserted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections

HELD = "held"  # todos of this title are
HOLD = f"""
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1, 1);
    RETURN NEW;
END $$;
CREATE TRIGGER hold BEFORE INSERT ON todos_todo
FOR EACH ROW WHEN (NEW.title = '{HELD}') EXECUTE FUNCTION hold();
"""


@contextmanager
def creations_held() -> Iterator[Callable[[], object]]:
    """While this is open, or until what it gives is called."""
    parameters = connections["todos"].get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as holder:
        holder.execute("SELECT pg_advisory_lock(1, 1)")
        with connections["todos"].cursor() as cursor:
            cursor.execute(HOLD)
        try:
            yield holder.close
        finally:
            holder.close()
            with connections["todos"].cursor() as cursor:
                cursor.execute("DROP FUNCTION hold CASCADE")
