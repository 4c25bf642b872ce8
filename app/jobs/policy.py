"""The policy of a job: every number that its process lives by, fixed in a snapshot when the job is posted."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from pydantic import ConfigDict, Field

from app.camel import CamelModel


class Urgency(StrEnum):
    """How soon the client needs it."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


BASIS = 10_000  # basis points in one whole


class JobPolicy(CamelModel):
    """Durations in seconds, shares in basis points, money in the smallest unit."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    offer_window_seconds: int = Field(default=15 * 60, gt=0)
    offer_window_high_urgency_seconds: int = Field(default=5 * 60, gt=0)
    candidates_per_round: int = Field(default=3, gt=0)
    rounds: int = Field(default=2, gt=0)
    rescue_reminder_seconds: int = Field(default=3600, gt=0)
    quote_consent_seconds: int = Field(default=48 * 3600, gt=0)
    auto_approve_seconds: int = Field(default=72 * 3600, gt=0)
    revision_limit: int = Field(default=2, ge=0)
    rating_window_seconds: int = Field(default=14 * 24 * 3600, gt=0)
    # What a client's credit is worth when pay is computed; the same for every tier, so that a discount
    # given to a client never lowers what a worker earns for the same hours.
    credit_value_usd_cents: int = Field(default=2500, gt=0)
    worker_share_basis_points: int = Field(default=6000, ge=0, le=BASIS)
    urgency_basis_points: dict[Urgency, int] = Field(
        default={Urgency.LOW: 9_000, Urgency.NORMAL: BASIS, Urgency.HIGH: 15_000}
    )

    def offer_window(self, urgency: Urgency) -> timedelta:
        """How long a worker has to answer an offer."""
        seconds = self.offer_window_seconds
        if urgency is Urgency.HIGH:
            seconds = min(seconds, self.offer_window_high_urgency_seconds)
        return timedelta(seconds=seconds)
