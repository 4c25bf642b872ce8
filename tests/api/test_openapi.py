"""The OpenAPI document: names that make good clients, and no error left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.main import create_app
from api.problem_types import STATUS_BY_CODE
from app.settings import Settings
from tests.api.access_table import ACCESS

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(environment="test")).openapi()


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def codes(operation: dict[str, Any]) -> set[str]:
    """Every error code that the operation documents."""
    return {
        code
        for status, response in operation["responses"].items()
        if int(status) >= 400
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }


def test_operation_ids_are_tag_and_name(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for _, _, operation in operations(document):
        assert operation["operationId"].startswith(f"{operation['tags'][0]}-")
        assert operation["summary"]
        assert operation["description"]


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and not path.startswith("/health"):
                assert set(response["content"]) == {"application/problem+json"}, f"{method} {path} {status}"
        assert {STATUS_BY_CODE[code] for code in codes(operation)} <= {int(s) for s in operation["responses"]}


def test_errors_follow_from_what_a_route_is(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path.startswith("/health"):
            continue
        found, name = codes(operation), f"{method} {path}"
        assert {"internal-error", "dependency-unavailable"} <= found, name
        if "requestBody" in operation:
            wanted = {"malformed-request", "unsupported-media-type", "request-too-large", "invalid-request"}
            assert wanted <= found, name
        access = ACCESS[method, path]
        if access.roles is not None:
            assert {"authentication-required", "token-expired", "session-ended"} <= found, name
            assert operation["security"], name
            if len(access.roles) < 3:
                assert "wrong-role" in found, name
        if "{" in path:
            assert "not-found" in found or "offer-not-found" in found, name
        if any(
            parameter["name"].lower() == "idempotency-key" for parameter in operation.get("parameters", [])
        ):
            assert {"idempotency-key-reused", "request-in-progress"} <= found, name


def test_bodies_have_examples(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            continue
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        fields = schema.get("properties", {}).values()
        has_example = "examples" in schema or any("examples" in field for field in fields)
        assert has_example, f"{method} {path}"
