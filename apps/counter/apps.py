from django.apps import AppConfig


class CounterConfig(AppConfig):
    name = "apps.counter"
    label = "counter"

    def ready(self) -> None:
        from apps.counter.owners import COUNTERS
        from kit import holdings

        holdings.register(COUNTERS)
