"""Faults on demand: the next N matching calls fail, are answered into the void, or take their time."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Fault(BaseModel):
    """What shall go wrong, with which calls, and how often.

    `status` refuses before anything is executed (so a repeat with the same key is executed), unless
    `remembered`, when the idempotency key keeps the refusal as Stripe keeps a 500 that happened while executing.
    `drop` closes the connection without an answer, before or after the call was executed.
    `delay_seconds` holds the call first, with its idempotency key in flight.
    """

    model_config = ConfigDict(extra="forbid")

    method: str = "*"
    path: str = "*"  # a shell pattern, e.g. /v1/transfers*
    status: int | None = Field(default=None, ge=400, le=599)
    drop: Literal["before", "after"] | None = None
    delay_seconds: float = Field(default=0, ge=0, le=120)
    remembered: bool = False
    times: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.status is None and self.drop is None and not self.delay_seconds:
            raise ValueError("a fault needs a status, a drop or a delay_seconds")
        return self


class Faults:
    """The faults still to come, oldest first. They live in the process and are gone after a restart."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this call, one use of it spent."""
        for index, fault in enumerate(self._waiting):
            if fnmatchcase(method, fault.method.upper()) and fnmatchcase(path, fault.path):
                if fault.times == 1:
                    del self._waiting[index]
                else:
                    self._waiting[index] = fault.model_copy(update={"times": fault.times - 1})
                return fault
        return None
