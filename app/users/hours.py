"""Working hours: for each weekday, ranges of local wall-clock time.

A range lies within one day, from `start` up to but not including `end`; `24:00` is the end of the day. A night shift
is two ranges, one on each side of midnight (`22:00`-`24:00` on Monday, `00:00`-`06:00` on Tuesday), so every range
belongs to exactly one day and overlaps can be seen.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.documents import CamelModel

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_END = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


def _known_zone(name: str) -> str:
    if name not in available_timezones() or not isinstance(ZoneInfo(name), ZoneInfo):
        raise ValueError("is not a time zone of the IANA database, such as Asia/Phnom_Penh")
    return name


TimeZoneName = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]


class TimeRange(CamelModel):
    """`start` inclusive, `end` exclusive, as HH:MM of the worker's own clock."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Annotated[str, StringConstraints(pattern=_TIME)]
    end: Annotated[str, StringConstraints(pattern=_END)]

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.start >= self.end:
            raise ValueError("a range ends after it starts; split a night shift at midnight")
        return self


def _apart(ranges: list[TimeRange]) -> list[TimeRange]:
    ordered = sorted(ranges, key=lambda item: item.start)
    for before, after in pairwise(ordered):
        if after.start < before.end:
            raise ValueError(f"{before.start}-{before.end} and {after.start}-{after.end} overlap")
    return ordered


DayHours = Annotated[list[TimeRange], Field(max_length=6), AfterValidator(_apart)]


class WorkingHours(BaseModel):
    """A week. A day without ranges is a day off; ranges of a day do not overlap and are kept in order."""

    model_config = ConfigDict(extra="forbid")

    monday: DayHours = Field(default_factory=list)
    tuesday: DayHours = Field(default_factory=list)
    wednesday: DayHours = Field(default_factory=list)
    thursday: DayHours = Field(default_factory=list)
    friday: DayHours = Field(default_factory=list)
    saturday: DayHours = Field(default_factory=list)
    sunday: DayHours = Field(default_factory=list)

    def of(self, weekday: int) -> list[TimeRange]:
        """The ranges of a day, Monday being 0."""
        ranges: list[TimeRange] = getattr(self, WEEKDAYS[weekday])
        return ranges


def office_hours() -> WorkingHours:
    """Monday to Friday, nine to six: what a worker starts with."""
    day = TimeRange(start="09:00", end="18:00")
    return WorkingHours(**{weekday: [day] for weekday in WEEKDAYS[:5]})
