from django.apps import AppConfig


class EpisConfig(AppConfig):
    name = "epis"

    def ready(self) -> None:
        from epis import celery  # noqa: F401  (the app that every process rings through)
        from epis.api import schema  # noqa: F401  (registers what the schema needs to know)
