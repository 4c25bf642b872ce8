"""Moments as a person reads them in the Temporal UI."""

from __future__ import annotations

from datetime import datetime


def moment_text(moment: datetime) -> str:
    """A moment in UTC to the second: `2026-11-22 10:15:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
