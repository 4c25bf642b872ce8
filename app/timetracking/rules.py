"""When a timer ends and what it counts. Pure; times are aware, results whole seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.timetracking.models import RunningTimer, StoppedBy, TimerStop

_SECOND = timedelta(seconds=1)


def seconds_between(start: datetime, end: datetime) -> int:
    """Whole seconds from start to end, never negative."""
    return max(0, (end - start) // _SECOND)


def idle_at(timer: RunningTimer) -> datetime:
    """When the timer counts as abandoned, if nothing is heard before."""
    return timer.seen_at + timedelta(seconds=timer.idle_seconds)


def is_idle(timer: RunningTimer, at: datetime) -> bool:
    """Whether nothing has been heard for the timer's limit."""
    return at >= idle_at(timer)


def stop_of(timer: RunningTimer, at: datetime, by: StoppedBy, *, note: str = "") -> TimerStop:
    """The end of a timer that is stopped at `at`.

    An end that was decided before stands. An idle timer counts up to its last sign of life, whoever stops it.
    """
    if timer.stop is not None:
        return timer.stop
    if is_idle(timer, at):
        return _stop(timer, timer.seen_at, StoppedBy.IDLE, note)
    return _stop(timer, max(at, timer.started_at), by, note)


def end_of(timer: RunningTimer, at: datetime, *, working: bool) -> TimerStop | None:
    """The end of a timer that has none on record but should have by `at`; None while it rightly runs.

    `working` says whether its job is being worked on by its worker. If not, nobody knows since when: what counts is
    up to the last sign of life, which is only taken while the job is worked on.
    """
    if timer.stop is not None or is_idle(timer, at):
        return stop_of(timer, at, StoppedBy.IDLE)
    return None if working else _stop(timer, timer.seen_at, StoppedBy.PROCESS, "")


def counted_seconds(timer: RunningTimer, at: datetime) -> int:
    """What the timer would count if it were stopped at `at`, so that stopping it then changes no sum."""
    return stop_of(timer, at, StoppedBy.PROCESS).seconds


def _stop(timer: RunningTimer, at: datetime, by: StoppedBy, note: str) -> TimerStop:
    return TimerStop(stopped_at=at, seconds=seconds_between(timer.started_at, at), stopped_by=by, note=note)
