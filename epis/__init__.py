"""The shell of epis: knows every part; no part knows it."""

from epis.celery import app as celery_app

__all__ = ["celery_app"]
