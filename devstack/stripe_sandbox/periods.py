"""Calendar arithmetic of billing periods, in seconds since 1970, UTC."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

from devstack.stripe_sandbox.store import Object

DAY_SECONDS = 86_400


def add(anchor: int, interval: str, count: int) -> int:
    """The moment `count` intervals after an anchor; the 31st becomes a shorter month's last day."""
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in {"day", "week"}:
        return int((start + timedelta(days=count * (7 if interval == "week" else 1))).timestamp())
    months = start.year * 12 + start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def period(anchor: int, price: Object, cycle: int) -> tuple[int, int]:
    """Start and end of a price's billing period number `cycle`, from 0, after an anchor."""
    interval, count = price["recurring"]["interval"], price["recurring"]["interval_count"]
    return add(anchor, interval, cycle * count), add(anchor, interval, (cycle + 1) * count)


def share(amount: int, start: int, end: int, at: int) -> int:
    """What of an amount falls on the time from `at` to `end`, rounded half up to the smallest unit."""
    left, whole = max(0, end - max(at, start)), end - start
    return (2 * amount * left + whole) // (2 * whole)


def day(moment: int) -> str:
    """A date as Stripe writes it on invoices: 22 Nov 2026."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y")
