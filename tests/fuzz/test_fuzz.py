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
from apps.users.operations.deletions import request_deletion
from apps.users.operations.signing_in import issue_token
from tests.conforming import schema as described
from tests.factories import UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE)

EXAMPLES = int(os.environ.get("EXAMPLES", "6"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]

as_often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 50,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def api() -> Any:
    api = schemathesis.openapi.from_dict(described())
    api.app = get_wsgi_application()
    return api


api_of_the_service = schemathesis.pytest.from_fixture("api")


@pytest.fixture
def world(settings: Any) -> dict[str, Any]:
    """Somebody with one of everything, whose ids stand in the addresses half of the time."""
    settings.SIGN_IN_TRIES_PER_MINUTE = 10**6
    settings.MAIL_IS_SENT = True
    ada: User = UserFactory.create(username="ada", is_staff=True)
    counter_id = counter.open_counter(owner_id=ada.id, name="tally")
    increment = counter.increment(counter_id=counter_id, owner_id=ada.id)
    todo = todos.add_todo(owner_id=ada.id, title="x")
    token, secret = issue_token(user_id=ada.id)
    deletion = request_deletion(user_id=UserFactory.create().id)
    return {
        "headers": {"Authorization": f"Bearer {secret}"},
        "/api/users/": UserFactory.create().id,
        "/api/auth/tokens/": token.id,
        "/api/deletions/": deletion.id,
        "/api/todos/": todo,
        "/api/counters/{id}/": counter_id,
        "/api/counters/{counter_id}/": increment,
        "counter_id": counter_id,
    }


@api_of_the_service.parametrize()
@as_often
def test_every_operation_answers_as_it_says(case: Any, world: dict[str, Any]) -> None:
    case.call_and_validate(headers=world["headers"], checks=CHECKS)
