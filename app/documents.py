"""Base classes for what is stored: camelCase in MongoDB and JSON, snake_case in Python."""

from __future__ import annotations

from datetime import UTC, datetime

from beanie import Document
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from app.camel import CamelModel

__all__ = ["CamelDocument", "CamelModel", "utcnow"]


def utcnow() -> datetime:
    """Now, aware, cut to the millisecond that MongoDB keeps, so that a value equals itself when read back."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class CamelDocument(Document):
    """A Beanie document whose fields are camelCase in MongoDB."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
