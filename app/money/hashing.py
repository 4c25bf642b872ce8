"""Canonical JSON and SHA-256: the same value has the same hash in every process and in every version."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64  # what a book's first transaction names as its predecessor's hash


def digest(value: Any) -> str:
    """SHA-256 (hex) over canonical JSON: sorted keys, no spaces, UTC instants to the millisecond.

    Raises:
        TypeError: the value holds something that is no JSON and no datetime.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_encode)
    return hashlib.sha256(text.encode()).hexdigest()


def row_hash(document: dict[str, Any]) -> str:
    """The hash of a stored row: over every field but the hash itself, so an added field shows too."""
    return digest({name: value for name, value in document.items() if name != "hash"})


def _encode(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    raise TypeError(f"{type(value).__name__} has no canonical form")
