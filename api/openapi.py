"""The OpenAPI document: clean operation ids, and every error of every route as a problem document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.problem_types import STATUS_BY_CODE, title, type_uri
from api.problems import MEDIA_TYPE, Problem

_PHRASE = {
    400: "Malformed request",
    401: "Who are you?",
    402: "Not paid, or not enough credits",
    403: "Not allowed",
    404: "Not found, or not yours",
    409: "Not possible in the present state",
    413: "Body too large",
    415: "Body is not JSON",
    422: "The request does not fit",
    429: "Too many attempts",
    500: "Our fault",
    503: "A dependency is away, or the outcome is unknown",
}

ALWAYS = ("internal-error", "dependency-unavailable")
AUTHENTICATED = ("authentication-required", "invalid-token", "token-expired", "session-ended")
WITH_BODY = ("malformed-request", "request-too-large", "unsupported-media-type", "invalid-request")
CREATING = ("idempotency-key-reused", "request-in-progress", "outcome-unknown")


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route from the codes it can answer with; those of every route are added.

    Raises:
        KeyError: a code has no status in `STATUS_BY_CODE`.
    """
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *ALWAYS)):
        by_status.setdefault(STATUS_BY_CODE[code], []).append(code)
    return {
        status: {
            "description": f"{_PHRASE.get(status, 'Refused')}: {', '.join(f'`{code}`' for code in found)}",
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {code: {"value": _example(code, status)} for code in found},
                }
            },
        }
        for status, found in sorted(by_status.items())
    }


def _example(code: str, status: int) -> dict[str, Any]:
    return {
        "type": type_uri(code),
        "code": code,
        "title": title(code),
        "status": status,
        "detail": title(code) + ".",
        "instance": "/…",
        "correlationId": "6561f0c2a4b7d9e8f0123456",
    }


def operation_id(route: APIRoute) -> str:
    """`tag-name`, which gives generated clients readable methods."""
    tag = str(route.tags[0]) if route.tags else "api"
    return f"{tag}-{route.name.replace('_', '-')}"


def install(app: FastAPI) -> None:
    """Serve a document in which Problem stands where FastAPI would put its own error shapes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            routes: list[BaseRoute] = list(app.routes)
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=routes,
                tags=app.openapi_tags,
            )
            _use_problem(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to replace it


def _use_problem(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components.update(problem.pop("$defs", {}))
    components["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    fallback = problems("invalid-request")[422]
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            found = operation.get("responses", {}).get("422", {})
            if "application/json" in found.get("content", {}):
                own = found["content"].get(MEDIA_TYPE)
                operation["responses"]["422"] = found if own else fallback
                found["content"].pop("application/json")
