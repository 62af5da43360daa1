"""epis' addresses, and those of the control arms."""

import json
from typing import Any

from celery import Task
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from epis import urls
from faults.control import ROWS
from faults.control.tasks import count_one, delete_account


@csrf_exempt
def increments(request: HttpRequest) -> HttpResponse:
    return _handed_over(count_one, number=json.loads(request.body)["number"])


@csrf_exempt
def accounts(request: HttpRequest) -> HttpResponse:
    """POST creates one with its rows; DELETE has it deleted."""
    name = json.loads(request.body)["name"]
    if request.method == "DELETE":
        return _handed_over(delete_account, name=name)
    for alias in ("todos", "counter"):
        with connections[alias].cursor() as cursor:
            rows = "INSERT INTO control_row SELECT %s FROM generate_series(1, %s)"
            cursor.execute(rows, [name, ROWS])
    with connections["default"].cursor() as cursor:
        cursor.execute("INSERT INTO control_account (name) VALUES (%s)", [name])
    return HttpResponse(status=201)


def _handed_over(task: "Task[Any, Any]", **arguments: str) -> HttpResponse:
    try:
        task.apply_async(kwargs=arguments, retry=False)
    except Exception:  # the broker is away: the client sends it again
        return HttpResponse(status=503)
    return HttpResponse(status=202)


urlpatterns = [
    *urls.urlpatterns,
    path("control/increments/", increments),
    path("control/accounts/", accounts),
]
handler400 = handler403 = handler404 = urls.handler404
handler500 = urls.handler500
