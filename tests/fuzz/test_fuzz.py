"""schemathesis: whatever the schema allows, and what it does not, gets the answer that it says.

A few examples of each operation here, and as many as one likes with `make fuzz EXAMPLES=200`.
"""

import os
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from apps.counter import public as counter
from apps.todos import public as todos
from apps.users.models import User
from apps.users.operations.signing_in import issue_token
from tests.conforming import schema as described
from tests.factories import UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

EXAMPLES = int(os.environ.get("EXAMPLES", "4"))
IS_LONG = EXAMPLES >= 50
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]

# A file of any text is one in CSV: a line of names, of which none need be known.
TAKES_ANYTHING = {"/api/todos/import/"}

as_often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=not IS_LONG,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def api() -> Any:
    api = schemathesis.openapi.from_dict(described())
    api.app = get_wsgi_application()
    api.config.phases.coverage.enabled = IS_LONG  # some hundred cases for each operation
    return api


api_of_the_service = schemathesis.pytest.from_fixture("api")


@pytest.fixture
def signed_in(settings: Any) -> dict[str, str]:
    """The headers of an operator with something of everything."""
    settings.SIGN_IN_TRIES_PER_MINUTE = 10**6
    settings.MAIL_IS_SENT = True
    ada: User = UserFactory.create(username="ada", is_staff=True)
    tally = counter.open_counter(owner_id=ada.id, name="tally")
    counter.increment(counter_id=tally, owner_id=ada.id)
    todos.add_todo(owner_id=ada.id, title="x")
    _, secret = issue_token(user_id=ada.id)
    return {"Authorization": f"Bearer {secret}"}


@api_of_the_service.parametrize()
@as_often
def test_every_operation_answers_as_it_says(case: Any, signed_in: dict[str, str]) -> None:
    checks = CHECKS
    if case.operation.path in TAKES_ANYTHING:
        checks = [check for check in CHECKS if check is not negative_data_rejection]
    case.call_and_validate(headers=signed_in, checks=checks)
