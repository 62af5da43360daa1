"""What every app needs and none owns: ids, transactions, refusals, and rows that belong to a user.

Nothing here knows an app or Celery, and only `kit.api` knows HTTP. It holds abstract
models and functions that each app subclasses or calls for its own database.
"""
