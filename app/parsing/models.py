"""What a client wrote (`Brief`) and what a parser made of it (`ParsedBrief`).

Both are small and plain: they cross into workflows, and are stored on the job. Hours are multiples of a quarter,
which binary floats hold exactly.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.camel import CamelModel

MAX_SKILLS = 10
MAX_SUMMARY = 200
MIN_HOURS = 0.5
MAX_HOURS = 200.0
HOUR_STEP = 0.25

Complexity = Literal["simple", "moderate", "complex"]
ParserName = Literal["openai", "rules"]


class Brief(BaseModel):
    """A client's request, as typed. Untrusted text."""

    model_config = ConfigDict(frozen=True)

    title: str
    description: str = ""
    urgency: str | None = None


class ParsedBrief(CamelModel):
    """A brief, read: every value within its bounds, whoever produced it.

    `required_skills` are slugs of the taxonomy, most needed first. Hours are working hours, in quarters.
    Token counts are those that OpenAI billed; they are None for the rules.
    """

    model_config = ConfigDict(frozen=True)

    required_skills: list[str] = Field(default_factory=list, max_length=MAX_SKILLS)
    category: str = "admin-support"
    complexity: Complexity = "moderate"
    hours_low: float = Field(default=2.0, ge=MIN_HOURS, le=MAX_HOURS, allow_inf_nan=False)
    hours_likely: float = Field(default=4.0, ge=MIN_HOURS, le=MAX_HOURS, allow_inf_nan=False)
    hours_high: float = Field(default=8.0, ge=MIN_HOURS, le=MAX_HOURS, allow_inf_nan=False)
    confidence: float = Field(default=0.0, ge=0.0, le=1.0, allow_inf_nan=False)
    summary: str = Field(default="", max_length=MAX_SUMMARY)
    parser: ParserName = "rules"
    model: str | None = None
    prompt_version: str | None = None
    rules_version: str | None = None
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)

    @field_validator("hours_low", "hours_likely", "hours_high")
    @classmethod
    def _whole_quarters(cls, value: float) -> float:
        if (value / HOUR_STEP) % 1:
            raise ValueError(f"{value} hours is not a multiple of {HOUR_STEP}")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.hours_low <= self.hours_likely <= self.hours_high:
            raise ValueError("hours must satisfy low <= likely <= high")
        return self


def quarter_hours(value: float) -> float:
    """`value` hours, rounded to the nearest quarter and kept within the bounds; not-a-number becomes the least."""
    if math.isnan(value):
        return MIN_HOURS
    bounded = min(max(value, MIN_HOURS), MAX_HOURS)
    return min(max(round(bounded / HOUR_STEP) * HOUR_STEP, MIN_HOURS), MAX_HOURS)


def ordered_hours(low: float, likely: float, high: float) -> tuple[float, float, float]:
    """Three estimates as bounded quarters in order; `likely` is the one that is believed."""
    middle = quarter_hours(likely)
    return min(quarter_hours(low), middle), middle, max(quarter_hours(high), middle)
