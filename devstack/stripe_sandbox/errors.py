"""Stripe's errors: one exception that carries the status and body the real API would send."""

from __future__ import annotations

from typing import Any


class StripeFault(Exception):  # noqa: N818  # "error" is Stripe's word for the body, not for this
    """An answer of 4xx or 5xx. `saved` says whether an idempotency key remembers it.

    Stripe saves a result only once the endpoint began to execute: parameters that fail validation, a key in
    flight and a refused API key leave no trace (https://docs.stripe.com/api/idempotent_requests). `commits` says
    that what was done before stays: a declined card leaves its failed charge. `more` joins the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        saved: bool = True,
        commits: bool = False,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.saved = saved
        self.commits = commits
        self.error: dict[str, Any] = {"message": message, "type": kind, **(more or {})}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param


def invalid_parameter(param: str, message: str, code: str | None = None) -> StripeFault:
    """A parameter that fails validation, before anything is executed."""
    return StripeFault(400, message, code=code, param=param, saved=False)


def missing_parameter(param: str) -> StripeFault:
    return invalid_parameter(param, f"Missing required param: {param}.", "parameter_missing")


def unknown_parameter(param: str) -> StripeFault:
    return invalid_parameter(param, f"Received unknown parameter: {param}", "parameter_unknown")


def empty_parameter(param: str) -> StripeFault:
    return invalid_parameter(
        param,
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{param}' cannot be unset. You should remove '{param}' from your request or supply a "
        "non-empty value.",
        "parameter_invalid_empty",
    )


def no_such(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> StripeFault:
    """An object that is not there: 404 when the path names it, 400 when a parameter does."""
    return StripeFault(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def no_api_key() -> StripeFault:
    return StripeFault(
        401,
        "You did not provide an API key. You need to provide your API key in the Authorization header, using "
        "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        saved=False,
    )


def invalid_api_key(key: str) -> StripeFault:
    """Only the last four characters of the key are shown, as Stripe does."""
    masked = f"{'*' * max(len(key) - 4, 0)}{key[-4:]}"
    return StripeFault(401, f"Invalid API Key provided: {masked}", saved=False)


def no_access_to_account(key: str, account_id: str) -> StripeFault:
    masked = f"{key[:8]}{'*' * 8}{key[-4:]}"
    return StripeFault(
        403,
        f"The provided key '{masked}' does not have access to account '{account_id}' (or that account does not "
        "exist). Application access may have been revoked.",
        code="account_invalid",
        saved=False,
    )


def unrecognised_url(method: str, path: str) -> StripeFault:
    return StripeFault(
        404,
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
        saved=False,
    )


def key_reused(key: str) -> StripeFault:
    return StripeFault(
        400,
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        kind="idempotency_error",
        saved=False,
    )


def key_in_use(key: str) -> StripeFault:
    return StripeFault(
        409,
        f"There is currently another in-progress request using this Idempotent Key ({key}). Please try again later.",
        code="idempotency_key_in_use",
        saved=False,
    )
