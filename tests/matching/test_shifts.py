"""Working hours as instants, over midnight and over clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.matching.shifts import check_working_hours, is_on_shift, next_shift_start
from app.users.hours import WEEKDAYS

PHNOM_PENH = "Asia/Phnom_Penh"
NEW_YORK = "America/New_York"
OFFICE = {day: [{"start": "09:00", "end": "17:00"}] for day in WEEKDAYS[:5]}
NIGHT = {"friday": [{"start": "22:00", "end": "06:00"}]}
ALWAYS = {day: [{"start": "00:00", "end": "24:00"}] for day in WEEKDAYS}


def local(zone: str, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]  # a wall time, in parts


@pytest.mark.parametrize(
    ("hour", "minute", "on"), [(8, 59, False), (9, 0, True), (16, 59, True), (17, 0, False), (3, 0, False)]
)
def test_a_shift_includes_its_start_and_not_its_end(hour: int, minute: int, on: bool) -> None:
    assert is_on_shift(OFFICE, PHNOM_PENH, local(PHNOM_PENH, 2026, 3, 2, hour, minute)) is on


def test_an_american_afternoon_is_a_cambodian_night() -> None:
    afternoon = local(NEW_YORK, 2026, 3, 3, 15, 0)
    assert not is_on_shift(OFFICE, PHNOM_PENH, afternoon)
    assert next_shift_start(OFFICE, PHNOM_PENH, afternoon) == datetime(2026, 3, 4, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hour", "on"),
    [(6, 21, False), (6, 22, True), (7, 0, True), (7, 5, True), (7, 6, False), (8, 1, False)],
)
def test_a_shift_may_cross_midnight(day: int, hour: int, on: bool) -> None:
    assert is_on_shift(NIGHT, NEW_YORK, local(NEW_YORK, 2026, 2, day, hour, 0)) is on


def test_the_whole_week_has_no_gap() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for hours in (ALWAYS, {day: [{"start": "00:00", "end": "00:00"}] for day in WEEKDAYS}):
        assert all(is_on_shift(hours, NEW_YORK, start + timedelta(minutes=m)) for m in range(0, 14 * 1440, 7))


def test_wall_times_keep_across_a_clock_change() -> None:
    before = next_shift_start(OFFICE, NEW_YORK, local(NEW_YORK, 2026, 3, 6, 8, 0))
    after = next_shift_start(OFFICE, NEW_YORK, local(NEW_YORK, 2026, 3, 9, 8, 0))
    assert before == datetime(2026, 3, 6, 14, 0, tzinfo=UTC)
    assert after == datetime(2026, 3, 9, 13, 0, tzinfo=UTC)


def test_a_start_that_the_spring_skips_is_the_end_of_the_gap() -> None:
    hours = {"sunday": [{"start": "02:30", "end": "05:00"}]}
    start = next_shift_start(hours, NEW_YORK, datetime(2026, 3, 8, 1, 0, tzinfo=UTC))
    assert start == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)  # 03:00 EDT, the first instant after 01:59:59 EST


def test_a_shift_that_lies_in_the_gap_waits_a_week() -> None:
    hours = {"sunday": [{"start": "02:10", "end": "02:50"}]}
    start = next_shift_start(hours, NEW_YORK, datetime(2026, 3, 8, 1, 0, tzinfo=UTC))
    assert start == datetime(2026, 3, 15, 6, 10, tzinfo=UTC)


def test_the_repeated_hour_of_autumn_is_worked_once_through() -> None:
    hours = {"sunday": [{"start": "00:30", "end": "03:00"}]}
    moments = [datetime(2026, 11, 1, 4, 0, tzinfo=UTC) + timedelta(minutes=30 * step) for step in range(10)]
    on = [moment for moment in moments if is_on_shift(hours, NEW_YORK, moment)]
    assert (on[0], on[-1]) == (
        datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 7, 30, tzinfo=UTC),
    )
    assert len(on) == 7, "three and a half hours, the repeated one included"


def test_on_shift_the_next_start_is_now() -> None:
    now = local(PHNOM_PENH, 2026, 3, 2, 10, 0)
    assert next_shift_start(OFFICE, PHNOM_PENH, now) == now


@pytest.mark.parametrize(
    "hours",
    [
        {},
        {"monday": []},
        {"mon": [{"start": "09:00", "end": "17:00"}]},
        {"monday": [{"start": "9:00", "end": "17:00"}]},
        {"monday": [{"start": "09:00"}]},
        {"monday": [{"start": "25:00", "end": "26:00"}]},
        {"monday": [{"start": "09:60", "end": "17:00"}]},
        {"monday": [{"start": "24:00", "end": "01:00"}]},
    ],
)
def test_unreadable_hours_are_no_shift(hours: dict[str, list[dict[str, str]]]) -> None:
    assert next_shift_start(hours, PHNOM_PENH, datetime(2026, 3, 2, tzinfo=UTC)) is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "\x00"])
def test_an_unknown_zone_is_no_shift_and_is_refused_at_the_door(zone: str) -> None:
    assert not is_on_shift(ALWAYS, zone, datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(ValueError, match="unknown time zone"):
        check_working_hours(ALWAYS, zone)


@pytest.mark.parametrize(
    ("hours", "fault"),
    [
        ({"mon": []}, "unknown weekday"),
        ({"monday": [{"start": "9", "end": "17:00"}]}, "a shift is"),
        ({"tuesday": [{"end": "17:00"}]}, "a shift is"),
    ],
)
def test_faulty_hours_are_refused_at_the_door(hours: dict[str, list[dict[str, str]]], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        check_working_hours(hours, PHNOM_PENH)


def test_good_hours_pass_the_door() -> None:
    for hours in (OFFICE, NIGHT, ALWAYS, {}):
        check_working_hours(hours, PHNOM_PENH)


_TIMES = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02d}:{quarter % 4 * 15:02d}")
_HOURS = st.dictionaries(
    st.sampled_from(WEEKDAYS),
    st.lists(st.fixed_dictionaries({"start": _TIMES, "end": _TIMES}), max_size=2),
    max_size=4,
)
_ZONES = st.sampled_from(
    [PHNOM_PENH, NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_MOMENTS = st.integers(0, 2 * 365 * 86_400).map(lambda seconds: _FIRST + timedelta(seconds=seconds))


@given(_HOURS, _ZONES, _MOMENTS)
@settings(max_examples=150, deadline=None)
def test_the_next_start_is_the_first_instant_on_shift(
    hours: dict[str, list[dict[str, str]]], zone: str, at: datetime
) -> None:
    start = next_shift_start(hours, zone, at)
    if start is None:
        assert not any(is_on_shift(hours, zone, at + timedelta(hours=step)) for step in range(24 * 8))
        return
    assert start >= at
    assert is_on_shift(hours, zone, start)
    assert (start == at) == is_on_shift(hours, zone, at)
    gap = start - at
    for part in range(1, 20):
        assert not is_on_shift(
            hours, zone, at + gap * part / 20 - timedelta(seconds=1)
        ) or gap * part / 20 < (timedelta(seconds=1))
