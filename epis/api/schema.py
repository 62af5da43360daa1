"""What drf-spectacular cannot see for itself: how one signs in, and what errors look like."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object

from epis.api.examples import EXAMPLES
from epis.api.problems import ProblemRenderer

FIELD_ERROR = {
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {
        "field": {
            "type": "string",
            "description": "Such as `title` or `update[0].tags[3]`; empty for the whole body.",
        },
        "code": {"type": "string", "example": "required"},
        "message": {"type": "string"},
    },
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Some refusals have further members, such as `current`.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "example": "about:blank"},
        "title": {"type": "string", "example": "Bad Request"},
        "status": {"type": "integer", "example": 400},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Tells refusals of one status apart."},
        "errors": {"type": "array", "items": FIELD_ERROR, "description": "With a 400."},
    },
    "additionalProperties": True,
}


class Bearer(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "apps.users.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return build_bearer_security_scheme_object("Authorization", "Bearer")


def describe_problems(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Postprocessing hook: whatever an operation answers besides what it names is a problem."""
    problem = {"$ref": "#/components/schemas/Problem"}
    content = {ProblemRenderer.media_type: {"schema": problem}}
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components.setdefault("responses", {})["Problem"] = {
        "description": "The request was refused, or could not be served.",
        "content": content,
    }
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    return result


def show_examples(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Postprocessing hook: what each kind of body may look like."""
    schemas = result["components"]["schemas"]
    for name, example in EXAMPLES.items():
        schemas[name]["example"] = example
    return result
