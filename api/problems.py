"""Problem documents (RFC 9457) and the handlers that turn every error into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pymongo.errors import (
    ConnectionFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from api.problem_types import STATUS_BY_CODE, title, type_uri
from app.errors import DependencyUnavailableError, DomainError, InvalidFieldError, OutcomeUnknownError

log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
# A problem's own `status` is the answer's number, so a job's gets a name of its own.
_PUBLIC_NAMES = {"status": "jobStatus", "phase": "jobPhase"}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CODE_BY_STATUS = {
    400: "malformed-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "request-too-large",
    415: "unsupported-media-type",
}
_DETAIL_BY_STATUS = {
    400: "The request is malformed: its body is not JSON.",
    404: "There is nothing at this path.",
    405: "This path does not know this method; see the Allow header.",
    413: "The request's body is too large.",
    415: "Send the body as application/json.",
}


class FieldProblem(BaseModel):
    """One fault: `in` is the part of the request, `pointer` the JSON pointer within it."""

    model_config = ConfigDict(populate_by_name=True)

    part: str = Field(alias="in", examples=["body"])
    pointer: str = Field(examples=["#/workingHours/monday/0/end"])
    code: str = Field(examples=["missing"])
    message: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """Every error's body. `type` and `code` are stable; `detail` is for people and may change."""

    model_config = ConfigDict(extra="allow")

    type: str
    code: str
    title: str
    status: int
    detail: str
    instance: str
    correlationId: str  # noqa: N815  # the name on the wire
    errors: list[FieldProblem] | None = None


def problem_response(
    scope: Scope,
    code: str,
    detail: str,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Response:
    """The problem document of one occurrence. Further `fields` are public members."""
    body = {
        **fields,
        "type": type_uri(code),
        "code": code,
        "title": title(code),
        "status": status or STATUS_BY_CODE[code],
        "detail": detail,
        "instance": scope["path"],
        "correlationId": scope.get("state", {}).get("correlation_id", ""),
    }
    return Response(
        orjson.dumps(body),
        status_code=body["status"],
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def domain_problem(scope: Scope, error: DomainError) -> Response:
    """The answer to an error of the business; a code that the table lacks is a defect, and says so as 500."""
    status = STATUS_BY_CODE.get(error.code)
    if status is None:
        log.error("unmapped_error_code", code=error.code)
        return internal_problem(scope)
    headers: dict[str, str] = {}
    fields = {_PUBLIC_NAMES.get(name, name): value for name, value in error.fields.items()}
    if error.code in ("insufficient-credits", "account-in-debt", "downgrade-below-held"):
        fields = {name: value / 100 if isinstance(value, int) else value for name, value in fields.items()}
    retry_after = getattr(error, "retry_after_seconds", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, InvalidFieldError):
        fields["errors"] = [_field_problem("body", error.pointer, "value_error", error.message)]
    return problem_response(scope, error.code, error.message, headers=headers, **fields)


def internal_problem(scope: Scope) -> Response:
    """The answer when something broke: nothing but the id to quote."""
    return problem_response(
        scope, "internal-error", "Something went wrong on our side. Quote the correlation id to support."
    )


def outage(error: Exception, method: str) -> DomainError | None:
    """The domain's word for a dependency that is away, or None when it is another error."""
    found: DomainError | None = None
    if isinstance(error, DomainError):
        found = error
    elif isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError):
        found = DependencyUnavailableError("mongodb")  # nothing was sent
    elif isinstance(error, ConnectionFailure) or (isinstance(error, PyMongoError) and error.timeout):
        found = _interrupted("mongodb", method)
    elif isinstance(error, RedisConnectionError | RedisTimeoutError):
        found = DependencyUnavailableError("redis")
    elif isinstance(error, WorkflowUpdateRPCTimeoutOrCancelledError):
        found = OutcomeUnknownError()
    elif isinstance(error, RPCError):
        found = _rpc_outage(error, method)
    elif isinstance(error, RuntimeError) and str(error).startswith("Failed client connect"):
        found = DependencyUnavailableError("temporal")  # the SDK's lazy client, on its first call
    return found


def _rpc_outage(error: RPCError, method: str) -> DomainError | None:
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED):
        return DependencyUnavailableError("temporal")
    if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return _interrupted("temporal", method)
    return None


def _interrupted(dependency: str, method: str) -> DomainError:
    """A call that was cut off: harmless if it only read."""
    return DependencyUnavailableError(dependency) if method in _SAFE_METHODS else OutcomeUnknownError()


async def _on_domain_error(request: Request, error: DomainError) -> Response:
    return domain_problem(request.scope, error)


async def _on_possible_outage(request: Request, error: Exception) -> Response:
    found = outage(error, request.method)
    if found is None:
        raise error
    log.warning("dependency_unavailable", fault=type(error).__name__, code=found.code)
    return domain_problem(request.scope, found)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    code = _CODE_BY_STATUS.get(error.status_code, "request-refused")
    detail = _DETAIL_BY_STATUS.get(error.status_code, "The request was refused.")
    return problem_response(request.scope, code, detail, status=error.status_code, headers=error.headers)


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem_response(request.scope, "malformed-request", _DETAIL_BY_STATUS[400])
    errors = [_describe(fault) for fault in faults[:50]]
    names = ", ".join(sorted({item["pointer"].removeprefix("#/") or item["in"] for item in errors})[:5])
    return problem_response(
        request.scope, "invalid-request", f"The request does not fit: {names}.", errors=errors
    )


def _describe(fault: Mapping[str, Any]) -> dict[str, str]:
    """A fault without its input: what was sent may be a password."""
    part, *path = fault["loc"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    return _field_problem(str(part), _pointer(path), str(fault["type"]), message)


def _field_problem(part: str, pointer: str, code: str, message: str) -> dict[str, str]:
    return {"in": part, "pointer": pointer, "code": code, "message": message}


def _pointer(path: Sequence[str | int]) -> str:
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1")[:80] for step in path)


def install(app: FastAPI) -> None:
    """Register every handler; what none of them knows reaches the error boundary as 500."""
    app.add_exception_handler(DomainError, _on_domain_error)  # type: ignore[arg-type]  # narrower than Exception
    app.add_exception_handler(HTTPException, _on_http_exception)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_validation_error)  # type: ignore[arg-type]
    for kind in (
        PyMongoError,
        RedisConnectionError,
        RedisTimeoutError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
        RPCError,
        RuntimeError,
    ):
        app.add_exception_handler(kind, _on_possible_outage)
