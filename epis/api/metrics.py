"""Figures for Prometheus, read from the databases when they are asked for.

So they are the same from whichever web process answers. A collector that cannot read
its figures costs only these, and says so in `epis_collector_up`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

# Name of what is measured -> a function that reads its figures through that app's door.
COLLECTORS: dict[str, Callable[[], Iterable[Metric]]] = {}


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Figures(Collector):
    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "epis_collector_up", "1 if these figures could be read.", labels=["collector"]
        )
        for name, read in COLLECTORS.items():
            try:
                figures = list(read())
            except Error as error:
                logger.error("The figures of %s cannot be read: %s", name, error)
                figures = []
                up.add_metric([name], 0)
            else:
                up.add_metric([name], 1)
            yield from figures
        yield up
