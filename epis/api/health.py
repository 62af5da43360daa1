"""Whether this process lives, and whether it can serve.

The probes open connections of their own with short limits, so that they answer while a
server hangs, and say what a new request would meet rather than what an old one has.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection

from epis.api.problems import RETRY_AFTER_SECONDS

# Each database by what is kept in it.
DATABASES = {"users" if alias == DEFAULT_DB_ALIAS else alias: alias for alias in settings.DATABASES}
CONNECT_SECONDS = 2  # the least that PostgreSQL's client takes
BROKER_SECONDS = 0.5


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """Answers as long as the process does. Touches nothing."""
    return JsonResponse({"state": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """503 while a database is down. Without the broker all is served, only later."""
    up = look_at_parts()
    if not all(up[name] for name in DATABASES):
        state, status = "down", HTTPStatus.SERVICE_UNAVAILABLE
    else:
        state, status = ("ready" if up["broker"] else "degraded"), HTTPStatus.OK
    parts = {name: "up" if is_up else "down" for name, is_up in up.items()}
    response = JsonResponse({"state": state, "parts": parts}, status=status)
    if status != HTTPStatus.OK:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def look_at_parts() -> dict[str, bool]:
    """Each part by name, and whether it answers. All at once: as slow as the slowest."""
    probes: dict[str, Callable[[], bool]] = {
        name: partial(database_answers, alias) for name, alias in DATABASES.items()
    }
    probes["broker"] = broker_answers
    with ThreadPoolExecutor(len(probes)) as pool:
        running = {name: pool.submit(probe) for name, probe in probes.items()}
    return {name: probe.result() for name, probe in running.items()}


def database_answers(alias: str) -> bool:
    """Whether it lets one in, which takes a working server and that very database."""
    parameters = connections[alias].get_connection_params()
    try:
        psycopg.connect(**{**parameters, "connect_timeout": CONNECT_SECONDS}).close()
    except psycopg.Error:
        return False
    return True


def broker_answers() -> bool:
    """One try. `Connection.connect` would make several, seconds apart."""
    limits = {"socket_connect_timeout": BROKER_SECONDS, "socket_timeout": BROKER_SECONDS}
    broker = Connection(
        settings.BROKER_URL, connect_timeout=BROKER_SECONDS, transport_options=limits
    )
    try:
        transport = broker.transport
        transport.close_connection(transport.establish_connection())
    except (*broker.connection_errors, *broker.channel_errors):
        return False
    return True
