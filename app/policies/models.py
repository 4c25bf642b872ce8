"""The collection `policies`: every policy there ever was. A change is a new row; none is edited or deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from beanie import Document
from pydantic import Field

from app.camel import CamelModel
from app.documents import CamelDocument
from app.jobs.policy import JobPolicy

MAX_VERSION = 2**31 - 1  # that a caller may name


class FieldChange(CamelModel):
    """What one field of the policy, named as in JSON, was before a change and is after it; values as in JSON."""

    field: str
    before: Any
    after: Any


class PolicyVersion(CamelDocument):
    """One version of the policy; `_id` is its number, and so is `policy.version`.

    Version 1 is what the installation's settings give. Nobody made it, so it is not stored.
    """

    id: int = Field(alias="_id")  # type: ignore[assignment]  # a number in place of an ObjectId
    policy: JobPolicy
    changed_by: str | None = None
    changed_at: datetime | None = None
    reason: str = ""
    diff: list[FieldChange] = Field(default_factory=list)
    request_id: str | None = None  # tells a repeat of the same request from another's change

    class Settings:
        """Collection. Rows are found by their number alone."""

        name = "policies"


DOCUMENTS: list[type[Document]] = [PolicyVersion]
