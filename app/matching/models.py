"""What ranking reads (`Candidate`) and what it answers (`Ranking`).

Points are integers: a score is out of 10,000 and is exactly the sum of its factors' points.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_SCORE = 10_000


class Candidate(BaseModel):
    """What is known of one worker at the moment of ranking. Times are aware."""

    model_config = ConfigDict(frozen=True)

    worker_id: str
    skills: list[str] = Field(default_factory=list)
    rating_sum: int = Field(default=0, ge=0)  # of whole stars, 1 to 5 each
    rating_count: int = Field(default=0, ge=0)
    offers_made: int = Field(default=0, ge=0)
    offers_accepted: int = Field(default=0, ge=0)
    active_jobs: int = Field(default=0, ge=0)
    capacity: int = Field(default=1, ge=0)
    available: bool = True
    on_shift: bool = False
    next_shift_at: datetime | None = None
    jobs_with_client: int = Field(default=0, ge=0)
    declined_recently_at: datetime | None = None
    opted_in_urgent: bool = False


class Weights(BaseModel):
    """The most points that each factor can earn; together exactly 10,000.

    Being on shift is worth half of all points, so that nobody who sleeps can outscore somebody who is there.
    """

    model_config = ConfigDict(frozen=True)

    on_shift: int = Field(default=5_000, ge=0)
    skill_fit: int = Field(default=2_200, ge=0)
    rating: int = Field(default=900, ge=0)
    acceptance: int = Field(default=600, ge=0)
    load: int = Field(default=600, ge=0)
    past_work: int = Field(default=400, ge=0)
    cool_down: int = Field(default=300, ge=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = sum(dict(self).values())
        if total != MAX_SCORE:
            raise ValueError(f"weights must add up to {MAX_SCORE}, not {total}")
        return self


class Factor(BaseModel):
    """One part of a score: `value` is 0 to 1, `weight` is the most it can earn, `points` what it earned."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: float = Field(ge=0.0, le=1.0)
    weight: int = Field(ge=0, le=10_000)
    points: int = Field(ge=0, le=10_000)


class ScoreCard(BaseModel):
    """How one worker fared. `rank` counts from 1 among the eligible; those passed over have none, and a reason."""

    model_config = ConfigDict(frozen=True)

    worker_id: str
    rank: int | None = None
    score: int = Field(ge=0, le=10_000)
    factors: list[Factor] = Field(default_factory=list)
    eligible: bool
    passed_over_reason: str | None = None


class Ranking(BaseModel):
    """Every candidate's card: the eligible first, best first, then those passed over, by worker id."""

    model_config = ConfigDict(frozen=True)

    version: str
    cards: list[ScoreCard] = Field(default_factory=list)

    @property
    def eligible_ids(self) -> list[str]:
        """The workers to ask, best first."""
        return [card.worker_id for card in self.cards if card.eligible]
