"""schemathesis: whatever the schema allows, and what it does not, gets the answer that it says.

All of its checks, on each operation alone and on one after another, as the ids in answers lead
from one to the next. A few examples here, and as many as one likes with `make fuzz EXAMPLES=200`.
"""

import os
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize
from hypothesis.strategies import booleans
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, use_after_free

from apps.counter import public as counter
from apps.todos import public as todos
from apps.users.operations.signing_in import issue_token
from epis.api.description import schema as described
from tests.factories import UserFactory
from tests.people import EVERYWHERE

pytestmark = pytest.mark.django_db(databases=EVERYWHERE, transaction=True)

EXAMPLES = int(os.environ.get("EXAMPLES", "4"))
IS_LONG = EXAMPLES >= 50

load_all_checks()

# A file of any text is one in CSV: a line of names, of which none need be known.
TAKES_ANYTHING = {"/api/todos/import/"}
# What a schema can say, so that what follows it is not refused for this. Other rules it cannot
# say: a name that is taken, a cursor of another list, a password that everybody has.
SAYABLE = {
    *("required", "null", "empty", "min_length", "max_length", "min_value", "max_value"),
    *("invalid_choice", "not_a_list", "not_a_dict", "not_a_boolean", "max_string_length"),
}

as_often = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50 if IS_LONG else 20,  # one of which begins
    deadline=None,
    database=None,
    derandomize=not IS_LONG,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.check
def is_refused_where_the_schema_forbids_it(ctx: Any, response: Any, case: Any) -> None:
    """`negative_data_rejection`, but where more is taken than said, on purpose.

    In a form all is text, so that "0" is a no; and a filter that is left empty, as by the form
    of a page, is none, also behind a comma.
    """
    empty = [name for name, value in (case.query or {}).items() if has_an_empty_part(value)]
    if not (case.operation.path in TAKES_ANYTHING or is_form(case) or empty):
        negative_data_rejection(ctx, response, case)


@schemathesis.check
def is_not_refused_for_what_the_schema_could_say(ctx: Any, response: Any, case: Any) -> None:
    """In the place of `positive_data_acceptance`, to which every refusal is a fault.

    Not of a form, in which commas part the tags, and of which the schema cannot say that; nor of
    a file, of which it says no more than that it is text.
    """
    follows_the_schema = case.meta is not None and case.meta.generation.mode.is_positive
    is_text = case.operation.path in TAKES_ANYTHING or is_form(case)
    if follows_the_schema and response.status_code == 400 and not is_text:
        codes = {error["code"] for error in response.json()["errors"]}
        assert not codes & SAYABLE, response.text


@schemathesis.check
def is_gone_once_deleted(ctx: Any, response: Any, case: Any) -> None:
    """`use_after_free`, but for todos, which come back, and accounts, which take a while to go."""
    if not case.operation.path.startswith(("/api/todos/", "/api/users/")):
        use_after_free(ctx, response, case)


def has_an_empty_part(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return "" in ",".join(map(str, parts)).split(",")


def is_form(case: Any) -> bool:
    return case.media_type in ("application/x-www-form-urlencoded", "multipart/form-data")


@pytest.fixture
def api(settings: Any) -> Any:
    settings.SIGN_IN_TRIES_PER_MINUTE = settings.REGISTRATIONS_PER_MINUTE = 10**6
    settings.MAIL_IS_SENT = True
    api = schemathesis.openapi.from_dict(described())
    api.app = get_wsgi_application()
    for replaced in ("negative_data_rejection", "positive_data_acceptance", "use_after_free"):
        getattr(api.config.checks, replaced).enabled = False
    api.config.phases.coverage.enabled = IS_LONG  # some hundred cases for each operation
    return api


@pytest.fixture
def signed_in() -> dict[str, str]:
    return somebody()


api_of_the_service = schemathesis.pytest.from_fixture("api")


def somebody(*, is_staff: bool = True) -> dict[str, str]:
    """The headers of somebody new with something of everything."""
    user: Any = UserFactory.create(username="fuzz", is_staff=is_staff)
    tally = counter.open_counter(owner_id=user.id, name="tally")
    counter.increment(counter_id=tally, owner_id=user.id)
    todos.add_todo(owner_id=user.id, title="x")
    _, secret = issue_token(user_id=user.id)
    return {"Authorization": f"Bearer {secret}"}


def forget_everything() -> None:
    """The databases as they are after any test, with nothing in them."""
    for alias in EVERYWHERE:
        call_command(
            "flush", database=alias, interactive=False, verbosity=0, inhibit_post_migrate=True
        )


@api_of_the_service.parametrize()
@as_often
def test_every_operation_answers_as_it_says(case: Any, signed_in: dict[str, str]) -> None:
    case.call_and_validate(headers=signed_in)


def test_one_operation_after_another_answers_as_it_says(api: Any) -> None:
    class Sequence(api.as_state_machine()):  # type: ignore[misc]
        """Each begins with the same, or it would not find again what it has found.

        What follows on an answer depends on it; and rows of other sequences are in answers, take
        names, and are found by what looks for anything.
        """

        @initialize(is_staff=booleans())
        def begin(self, is_staff: bool) -> None:
            forget_everything()
            self.signed_in = somebody(is_staff=is_staff)

        def before_call(self, case: Any) -> None:
            case.headers.update(self.signed_in)
            case._has_explicit_auth = True  # by which `ignored_auth` knows that it is good

    Sequence.run(settings=as_often)
