"""Until when an offer stands: its clock runs in the worker's own working hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.matching.shifts import working_time_end


def offer_expiry(
    profile: dict[str, Any], at: datetime, *, window: timedelta, pause_limit: timedelta | None
) -> datetime:
    """The instant at which an offer made at `at` lapses.

    Args:
        profile: a worker's `workerProfile`, as stored.
        window: the time to answer, counted in the worker's stated hours alone.
        pause_limit: how long at most the offer stands in all; None: the clock does not pause (an urgent job).

    A worker who states no hours, or none that come soon, is taken to work at any time.
    """
    hours = profile.get("workingHours") or {}
    if pause_limit is None or not any(hours.values()):
        return at + window
    timezone = profile.get("timezone") or "Asia/Phnom_Penh"
    end = working_time_end(hours, timezone, at, window)
    return min(end or at + pause_limit, at + max(pause_limit, window))
