"""Working hours as instants: is a worker on shift, and when does the next shift start.

`working_hours` is a profile's: "monday" to "sunday", each a list of {"start": "HH:MM", "end": "HH:MM"} in the worker's
own time zone.
A shift whose end is not after its start ends on the following day; "24:00" is midnight at the day's end, and
"00:00" to "00:00" is the whole day.

A wall time means the first instant at which the local clock reads it or, in a spring gap, has passed it. So a shift
keeps its wall times across a clock change, and is an hour longer or shorter on that day.

Workflow code must not call these: time zone data cannot be read in its sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.users.hours import WEEKDAYS

_DAY_MINUTES = 24 * 60
_LOOK_AHEAD_DAYS = 15  # two weeks, since a clock change may swallow one week's only shift

WorkingHours = Mapping[str, Sequence[Mapping[str, str]]]


def is_on_shift(working_hours: WorkingHours, timezone: str, at: datetime) -> bool:
    """Whether the aware instant `at` lies in a shift (start included, end not). Unreadable entries are no shift."""
    return any(start <= at < end for start, end in _shifts(working_hours, timezone, at, days=1))


def next_shift_start(working_hours: WorkingHours, timezone: str, at: datetime) -> datetime | None:
    """The first instant from `at` on, in UTC, that lies in a shift: `at` itself on shift, None without any shift."""
    starts = [
        max(start, at)
        for start, end in _shifts(working_hours, timezone, at, days=_LOOK_AHEAD_DAYS)
        if end > at
    ]
    return min(starts).astimezone(UTC) if starts else None


def check_working_hours(working_hours: WorkingHours, timezone: str) -> None:
    """Refuse hours that `is_on_shift` would have to ignore.

    Raises:
        ValueError: an unknown zone or weekday, or an entry that is not two times of day.
    """
    if _zone(timezone) is None:
        raise ValueError(f"unknown time zone: {timezone!r}")
    unknown = sorted(set(working_hours) - set(WEEKDAYS))
    if unknown:
        raise ValueError(f"unknown weekday: {unknown[0]!r}; use {', '.join(WEEKDAYS)}")
    for day, entries in working_hours.items():
        for entry in entries:
            if _span(entry) is None:
                raise ValueError(f'{day}: a shift is {{"start": "HH:MM", "end": "HH:MM"}}')


def _shifts(
    working_hours: WorkingHours, timezone: str, at: datetime, *, days: int
) -> Iterator[tuple[datetime, datetime]]:
    """Shifts as UTC instants, from those that began yesterday to those of `days` days ahead."""
    zone = _zone(timezone)
    if zone is None:
        return
    today = at.astimezone(zone).date()
    for offset in range(-1, days + 1):
        day = today + timedelta(days=offset)
        for entry in working_hours.get(WEEKDAYS[day.weekday()], ()):
            span = _span(entry)
            if span is None:
                continue
            start, end = (_instant(zone, day, minutes) for minutes in span)
            if start < end:
                yield start, end


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _span(entry: Mapping[str, str]) -> tuple[int, int] | None:
    """Minutes from the day's midnight to start and end, the end past 24 hours when the shift crosses midnight."""
    start, end = (_minutes(entry.get(side)) for side in ("start", "end"))
    if start is None or end is None or start == _DAY_MINUTES:
        return None
    return (start, end) if end > start else (start, end + _DAY_MINUTES)


def _minutes(text: str | None) -> int | None:
    if not isinstance(text, str) or len(text) != 5 or text[2] != ":" or not text.isascii():
        return None
    hours, minutes = text[:2], text[3:]
    if not (hours.isdigit() and minutes.isdigit()) or int(minutes) > 59:
        return None
    total = int(hours) * 60 + int(minutes)
    return total if total <= _DAY_MINUTES else None


def _instant(zone: ZoneInfo, day: date, minutes: int) -> datetime:
    """The first instant, in UTC, at which the clock of `zone` reads, or has skipped, that wall time."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # The wall time was skipped: find the change of offset that skipped it.
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late, after = first, first.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == after:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)


def working_time_end(
    working_hours: WorkingHours, timezone: str, at: datetime, duration: timedelta
) -> datetime | None:
    """The instant, in UTC, at which `duration` of shifts has passed since `at`; None when two weeks are too short.

    A clock that runs on shift alone: overlapping shifts count once.
    """
    left, reached = duration, at
    for start, end in sorted(_shifts(working_hours, timezone, at, days=_LOOK_AHEAD_DAYS)):
        begin = max(start, reached)
        if begin >= end:
            continue
        if end - begin >= left:
            return (begin + left).astimezone(UTC)
        left, reached = left - (end - begin), end
    return None
