"""The base of every error that the business itself raises. It knows no HTTP: the API maps codes to statuses."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """Something that a caller asked for cannot be done, said in words that the caller can act on.

    Attributes:
        code: stable kebab-case name of the kind of error; part of the public contract.
        message: a sentence for the caller; never internals, never another person's data.
        fields: further public members of the answer, by camelCase name, with JSON values.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class NotFoundError(DomainError):
    """It does not exist, or it is not the caller's: the two look the same from outside."""

    code = "not-found"


class InvalidFieldError(DomainError):
    """A value has the right shape but breaks a rule that needs more than the value to check.

    `pointer` is the JSON pointer of the value in the request's body.
    """

    code = "invalid-request"

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer


class DependencyUnavailableError(DomainError):
    """A service that the platform stands on does not answer. Nothing was changed; try again soon."""

    code = "dependency-unavailable"

    def __init__(self, dependency: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__("A service that this request needs is not answering; try again soon.")
        self.dependency = dependency
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknownError(DomainError):
    """The act was handed on, but its answer did not come back in time. Repeating it is safe."""

    code = "outcome-unknown"

    def __init__(self, *, retry_after_seconds: int = 2) -> None:
        super().__init__(
            "The answer did not come back in time, so the outcome is unknown. "
            "Repeat the same request: it is done at most once."
        )
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(DomainError):
    """Too many attempts in a short time."""

    code = "rate-limited"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Too many attempts; try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds
