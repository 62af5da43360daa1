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

from apps.counter import public as counter
from apps.users import public as users
from kit import holdings

logger = logging.getLogger(__name__)


def increments() -> Iterator[Metric]:
    pending, age = counter.count_pending()
    yield gauge("epis_increments_pending", "Increments accepted and not applied yet.", pending)
    yield gauge("epis_increments_oldest_pending_seconds", "Age of the oldest of these.", age)
    set_aside = counter.count_set_aside()
    yield gauge("epis_increments_set_aside", "Increments that could not be applied.", set_aside)


def deletions() -> Iterator[Metric]:
    standing = users.count_open_deletions()
    states = GaugeMetricFamily("epis_deletions", "Deletions not ended yet.", labels=["state"])
    for state, number in standing.by_state.items():
        states.add_metric([state], number)
    yield states
    left = standing.rows_left
    yield gauge("epis_deletion_rows_left", "Rows that are still to be deleted, as counted.", left)
    oldest = standing.oldest_due_seconds
    yield gauge("epis_deletions_oldest_due_seconds", "Since when the oldest has been due.", oldest)
    failing = standing.steps_failing
    yield gauge("epis_deletion_steps_failing", "Steps that failed when last tried.", failing)


def feed() -> Iterator[Metric]:
    lag = GaugeMetricFamily("epis_feed_lag", "Changes of users yet to be followed.", labels=["app"])
    for held in holdings.registered():
        position = held.position()  # before the head, which only grows
        lag.add_metric([held.app], users.feed_head() - position)
    yield lag


def gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


COLLECTORS: dict[str, Callable[[], Iterable[Metric]]] = {
    "increments": increments,
    "deletions": deletions,
    "feed": feed,
}


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
