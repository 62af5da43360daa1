"""The control arms: the plain way to count, and to delete, beside epis under the same faults.

A Celery task for each increment, and one for each deletion, acknowledged late and put back when
a worker is lost: as one is told to do it. They use epis' broker, servers and web processes, and a
worker of their own, to which the same happens as to epis' consumer.
"""

ROWS = 2_000  # of an account, in each of two databases
