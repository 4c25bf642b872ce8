"""Until when an offer stands: shifts that overlap, clocks that change, hours that nobody stated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.matching.shifts import is_on_shift, working_time_end
from app.offers.clock import offer_expiry
from app.users.hours import WEEKDAYS

PHNOM_PENH, BERLIN = "Asia/Phnom_Penh", "Europe/Berlin"
WINDOW, LIMIT = timedelta(minutes=15), timedelta(hours=24)
OFFICE = {day: [{"start": "09:00", "end": "17:00"}] for day in WEEKDAYS}
WEEK = {day: [{"start": "09:00", "end": "17:00"}] for day in WEEKDAYS[:5]}
ALWAYS = {day: [{"start": "00:00", "end": "24:00"}] for day in WEEKDAYS}


def local(zone: str, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]  # a wall time, in parts


def expiry(
    hours: dict[str, Any],
    at: datetime,
    *,
    zone: str = PHNOM_PENH,
    window: timedelta = WINDOW,
    limit: timedelta | None = LIMIT,
) -> datetime:
    profile = {"workingHours": hours, "timezone": zone}
    return offer_expiry(profile, at, window=window, pause_limit=limit)


def test_on_shift_the_clock_runs_at_once() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 10, 0)
    assert expiry(OFFICE, at) == at + WINDOW


def test_a_window_that_the_evening_cuts_ends_in_the_morning() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 16, 50)
    assert expiry(OFFICE, at) == local(PHNOM_PENH, 2026, 3, 4, 9, 5)


def test_at_night_the_clock_begins_with_the_shift() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 22, 0)
    assert expiry(OFFICE, at) == local(PHNOM_PENH, 2026, 3, 4, 9, 15)


def test_over_a_weekend_the_limit_comes_first() -> None:
    at = local(PHNOM_PENH, 2026, 3, 6, 18, 0)  # a Friday
    assert expiry(WEEK, at) == at + LIMIT
    assert expiry(WEEK, at, limit=timedelta(days=4)) == local(PHNOM_PENH, 2026, 3, 9, 9, 15)


def test_a_limit_below_the_window_does_not_shorten_it() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 10, 0)
    assert expiry(OFFICE, at, limit=timedelta(minutes=1)) == at + WINDOW


def test_an_urgent_offer_does_not_pause() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 22, 0)
    assert expiry(OFFICE, at, limit=None) == at + WINDOW


@pytest.mark.parametrize(
    "profile", [{}, {"workingHours": None}, {"workingHours": {}}, {"workingHours": {"monday": []}}]
)
def test_who_states_no_hours_works_at_any_time(profile: dict[str, Any]) -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 3, 0)
    assert offer_expiry(profile, at, window=WINDOW, pause_limit=LIMIT) == at + WINDOW


@pytest.mark.parametrize(
    ("hours", "zone"),
    [({"monday": [{"start": "9", "end": "17"}]}, PHNOM_PENH), (OFFICE, "Mars/Olympus")],
)
def test_hours_that_cannot_be_read_pause_until_the_limit(hours: dict[str, Any], zone: str) -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 10, 0)
    assert expiry(hours, at, zone=zone) == at + LIMIT


def test_a_profile_without_a_zone_is_in_phnom_penh() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 16, 50)
    profile = {"workingHours": OFFICE}
    assert offer_expiry(profile, at, window=WINDOW, pause_limit=LIMIT) == expiry(OFFICE, at)


def test_overlapping_shifts_count_once() -> None:
    twice = {"tuesday": [{"start": "09:00", "end": "10:00"}, {"start": "09:30", "end": "11:00"}]}
    nested = {"tuesday": [{"start": "09:00", "end": "11:00"}, {"start": "09:30", "end": "10:00"}]}
    at = local(PHNOM_PENH, 2026, 3, 3, 8, 0)
    for hours in (twice, nested):
        end = working_time_end(hours, PHNOM_PENH, at, timedelta(minutes=100))
        assert end == local(PHNOM_PENH, 2026, 3, 3, 10, 40)


def test_a_duration_that_is_a_whole_shift_ends_with_it_and_not_with_the_next() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 9, 0)
    assert working_time_end(OFFICE, PHNOM_PENH, at, timedelta(hours=8)) == at + timedelta(hours=8)


def test_a_night_without_its_third_hour_is_an_hour_shorter() -> None:
    """In Berlin the clocks skipped 02:00 to 03:00 on 29 March 2026."""
    night = {"sunday": [{"start": "01:00", "end": "04:00"}]}
    at = local(BERLIN, 2026, 3, 29, 1, 30)
    assert working_time_end(night, BERLIN, at, timedelta(hours=1)) == local(BERLIN, 2026, 3, 29, 3, 30)
    next_week = local(BERLIN, 2026, 4, 5, 1, 30)
    assert working_time_end(night, BERLIN, at, timedelta(hours=2)) == next_week


def test_a_night_with_its_third_hour_twice_is_an_hour_longer() -> None:
    """And went through 02:00 to 03:00 twice on 25 October 2026."""
    night = {"sunday": [{"start": "01:00", "end": "04:00"}]}
    at = local(BERLIN, 2026, 10, 25, 1, 0)
    end = working_time_end(night, BERLIN, at, timedelta(hours=4))
    assert end == local(BERLIN, 2026, 10, 25, 4, 0)
    assert end - at.astimezone(UTC) == timedelta(hours=4)


def test_nobodys_hours_have_no_end() -> None:
    at = local(PHNOM_PENH, 2026, 3, 3, 9, 0)
    assert working_time_end({}, PHNOM_PENH, at, WINDOW) is None
    short = {"monday": [{"start": "09:00", "end": "10:00"}]}
    assert working_time_end(short, PHNOM_PENH, at, timedelta(hours=4)) is None


_TIMES = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02d}:{quarter % 4 * 15:02d}")
_HOURS = st.dictionaries(
    st.sampled_from(WEEKDAYS),
    st.lists(st.fixed_dictionaries({"start": _TIMES, "end": _TIMES}), min_size=1, max_size=3),
    min_size=1,
)
_ZONES = st.sampled_from([PHNOM_PENH, BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC"])
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_MOMENTS = st.integers(0, 365 * 24 * 12).map(lambda fives: _FIRST + timedelta(minutes=5 * fives))


@given(_HOURS, _ZONES, _MOMENTS, st.integers(1, 36))
@settings(max_examples=60, deadline=None)
def test_the_clock_has_run_on_shift_for_exactly_the_window(
    hours: dict[str, list[dict[str, str]]], zone: str, at: datetime, fives: int
) -> None:
    """Counted in steps of five minutes, since shifts begin and end with quarters of an hour."""
    window, step = timedelta(minutes=5 * fives), timedelta(minutes=5)
    end = working_time_end(hours, zone, at, window)
    if end is None:
        return
    worked = sum(
        (step for number in range((end - at) // step) if is_on_shift(hours, zone, at + number * step)),
        timedelta(),
    )
    assert worked == window
    assert is_on_shift(hours, zone, end - timedelta(seconds=1))
    assert at + window <= expiry(hours, at, zone=zone, window=window) <= max(at + LIMIT, at + window)
