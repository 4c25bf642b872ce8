"""Ids of stored things: the 24 hex digits of a MongoDB ObjectId, kept as text so that they cross every layer."""

from __future__ import annotations

import re
from datetime import datetime
from hashlib import sha256

from bson import ObjectId

ID_PATTERN = r"^[0-9a-f]{24}$"


def new_id() -> str:
    """A new id, unique without asking anyone and rising with time."""
    return str(ObjectId())


def id_from(name: str) -> str:
    """The id of whatever there is one of by that name: the same each time, so it is made again as it was."""
    return sha256(name.encode()).hexdigest()[:24]


def made_at(value: str) -> datetime:
    """When an id was made, to the second.

    Raises:
        bson.errors.InvalidId: it is no id.
    """
    return ObjectId(value).generation_time


def is_id(value: str) -> bool:
    """Whether `value` could be an id."""
    return re.fullmatch(ID_PATTERN, value) is not None
