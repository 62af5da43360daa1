"""The schema is made from the views without a guess, is what was committed, and is true."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse, JsonResponse
from django.test import RequestFactory
from django.urls import resolve

from apps.users.api.serializers import UsernameField
from epis.api.description import schema
from epis.api.examples import EXAMPLES
from tests.conforming import complaints, validator_of

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


class TestSchema:
    def test_is_valid_and_made_without_a_warning_and_what_was_committed(self) -> None:
        made = StringIO()

        call_command("spectacular", "--validate", "--fail-on-warn", stdout=made)

        assert "/api/user/create:" in made.getvalue()
        assert made.getvalue().strip() == COMMITTED.read_text().strip(), "run `make schema`"

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_has_examples_that_are_as_it_says(self, name: str) -> None:
        described = {"$ref": f"#/components/schemas/{name}"}

        assert list(validator_of(described).iter_errors(EXAMPLES[name])) == []

    def test_shows_what_every_body_looks_like(self) -> None:
        """Those that are sent, and those that are answered; of a list, what is in it."""
        bodies = {
            content["schema"].get("$ref", "").rpartition("/")[2]
            for path in schema()["paths"].values()
            for operation in path.values()
            for told in [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in told.get("content", {}).values()
        }
        bodies -= {"", "UploadRequest"}  # files

        assert len(bodies) > 30
        assert sorted(name for body in bodies for name in without_example(body)) == []

    @pytest.mark.parametrize("username", ["robin", "andré", "우유", "²o", "a@b.c+d-e_f"])
    def test_forbids_no_name_that_is_taken(self, username: str) -> None:
        UsernameField().run_validation(username)

        body = {**EXAMPLES["RegistrationRequest"], "username": username}
        described = {"$ref": "#/components/schemas/RegistrationRequest"}
        assert list(validator_of(described).iter_errors(body)) == []

    @pytest.mark.parametrize("array", [[], [{}] * 10_001], ids=["empty", "long"])
    def test_says_how_many_increments_an_array_has(self, array: Any) -> None:
        operation = schema()["paths"]["/api/counters/{counter_id}/increments/"]["post"]
        described = operation["requestBody"]["content"]["application/json"]["schema"]

        assert list(validator_of(described).iter_errors([{}] * 10_000)) == []
        assert list(validator_of(described).iter_errors(array)) != []


def resolved(name: str) -> Any:
    return schema()["components"]["schemas"][name]


def without_example(name: str) -> Iterator[str]:
    described = resolved(name)
    parts = described.get("oneOf", [])  # of which it is one
    if "next" in described.get("properties", {}) and name.startswith("Paginated"):
        parts = [described["properties"]["results"]["items"]]
    for part in parts:
        yield from without_example(part["$ref"].rpartition("/")[2])
    if not parts and "example" not in described:
        yield name


class TestComparison:
    """Planted answers, to see that the comparison in every test would notice them."""

    def answer(self, response: HttpResponse, path: str = "/api/users/me/") -> list[str]:
        request = RequestFactory().get(path)
        request.resolver_match = resolve(path)
        planted: Any = SimpleNamespace(
            wsgi_request=request,
            status_code=response.status_code,
            headers=response.headers,
            content=response.content,
            streaming=False,
            json=lambda: EXAMPLES["User"] | {"id": 7},
        )
        return list(complaints(planted))

    @pytest.mark.parametrize(
        ("response", "told"),
        [
            (JsonResponse({}), "id: 7 is not of type 'string'"),
            (JsonResponse({}, status=202), "202 is not described"),
            (JsonResponse({}, status=400), "400 as application/json"),
            (HttpResponse("x", content_type="text/plain"), "text/plain is none of"),
        ],
    )
    def test_notices(self, response: HttpResponse, told: str) -> None:
        [complaint] = self.answer(response)

        assert told in complaint
