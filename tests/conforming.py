"""The schema is true: every answer that any test gets from the API is what it says.

What is told of an answer by its status, its media type and its body is compared. An answer in
HTML, or of an address that the schema leaves out, is not.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.urls import get_script_prefix
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from epis.api.description import schema

# Pages, and what is served as something else than JSON.
NOT_DESCRIBED = {
    *("/api/", "/api/auth/login/", "/api/auth/logout/", "/api/docs/", "/api/schema/"),
}
CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
PROBLEM = "application/problem+json"
SCHEMA = "urn:epis"


def complaints(response: Any) -> Iterator[str]:
    """In what this answer to the test client is not what the schema says."""
    request = response.wsgi_request
    if settings.ROOT_URLCONF != "epis.urls" or not request.path.startswith("/api/"):
        return
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if media_type == "text/html" or request.method in ("HEAD", "OPTIONS"):
        return
    if response.status_code >= 400 and media_type != PROBLEM:
        yield f"{response.status_code} as {media_type}"
        return
    operation = operation_of(request)
    if operation is None:
        return
    status = str(response.status_code)
    if status not in operation["responses"] and response.status_code < 400:
        yield f"{status} is not described"
        return
    described = operation["responses"].get(status) or operation["responses"]["default"]
    content = resolved(described).get("content", {})
    if response.streaming:  # which can be read but once
        if media_type not in content:
            yield f"{media_type} is none of {', '.join(content)}"
    elif not content:
        if response.content:
            yield "has a body that is not described"
    elif media_type not in content:
        yield f"{media_type} is none of {', '.join(content)}"
    else:
        for error in validator_of(content[media_type]["schema"]).iter_errors(response.json()):
            yield f"{'.'.join(map(str, error.path))}: {error.message}"


def operation_of(request: Any) -> Any:
    """What the schema says of what was asked for; None where nothing is to be said."""
    match = request.resolver_match
    if match is None:
        return None
    path = get_script_prefix() + CONVERTER.sub(r"{\1}", match.route)
    if path in NOT_DESCRIBED:
        return None
    operations = schema()["paths"].get(path)
    if operations is None:
        raise AssertionError(f"{path} is not in the schema")
    operation = operations.get(request.method.lower())
    return operation or {"responses": {"default": {"$ref": "#/components/responses/Problem"}}}


def resolved(node: Any) -> Any:
    found = node
    if "$ref" in node:
        found = schema()
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


_validators: dict[str, Draft202012Validator] = {}


def validator_of(described: Mapping[str, Any]) -> Draft202012Validator:
    key = repr(described)
    if key not in _validators:
        _validators[key] = Draft202012Validator(
            modern(described),
            registry=registry(),
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
    return _validators[key]


@cache
def registry() -> Registry:
    whole = Resource.from_contents(modern(schema()), default_specification=DRAFT202012)
    return Registry().with_resource(SCHEMA, whole)


def modern(node: Any) -> Any:
    """As JSON Schema: OpenAPI 3.0 says `nullable` in its place, and refers to its own whole."""
    if isinstance(node, list):
        return [modern(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        return {"$ref": f"{SCHEMA}{node['$ref']}"}
    plain = {name: modern(value) for name, value in node.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain
