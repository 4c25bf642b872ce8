"""The policy of a job: every number that its process lives by, fixed in a snapshot when the job is posted."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from pydantic import ConfigDict, Field, PositiveInt

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
    # The offer's clock runs in the worker's working hours alone, unless the job is urgent; this is its end at last.
    offer_pause_limit_seconds: int = Field(default=24 * 3600, gt=0)
    rescue_reminder_seconds: int = Field(default=3600, gt=0)
    rescue_escalation_reminders: int = Field(default=3, gt=0)  # then the client is told again
    # A reading of less confidence than this asks the client one question.
    clarify_below_basis_points: int = Field(default=2_000, ge=0, le=BASIS)
    clarification_seconds: int = Field(default=24 * 3600, gt=0)
    quote_consent_seconds: int = Field(default=48 * 3600, gt=0)
    # Work is due so long after it was assigned, and half as long after a revision was asked for.
    due_seconds: dict[Urgency, PositiveInt] = Field(
        default={Urgency.LOW: 7 * 24 * 3600, Urgency.NORMAL: 3 * 24 * 3600, Urgency.HIGH: 24 * 3600}
    )
    worker_reminder_basis_points: tuple[int, ...] = (5_000, 8_000)  # of the time that the work has
    overdue_alert_seconds: int = Field(default=24 * 3600, gt=0)  # between alerts to the admins
    review_reminder_seconds: tuple[int, ...] = (24 * 3600, 48 * 3600)
    auto_approve_seconds: int = Field(default=72 * 3600, gt=0)
    review_extension_seconds: int = Field(default=72 * 3600, gt=0)
    revision_limit: int = Field(default=2, ge=0)
    # Beyond the limit: what a revision costs unless the worker says otherwise, as a share of the price.
    extra_revision_basis_points: int = Field(default=2_500, gt=0, le=BASIS)
    revision_quote_seconds: int = Field(default=48 * 3600, gt=0)
    # What a client who cancels pays at least, as a share of the price: before work began, after, and after a delivery.
    cancel_ready_basis_points: int = Field(default=1_000, ge=0, le=BASIS)
    cancel_working_basis_points: int = Field(default=2_500, ge=0, le=BASIS)
    cancel_delivered_basis_points: int = Field(default=5_000, ge=0, le=BASIS)
    # What a worker who leaves after a delivery gets at most: the rest is for the one who finishes.
    leave_share_limit_basis_points: int = Field(default=5_000, ge=0, lt=BASIS)
    evidence_seconds: int = Field(default=72 * 3600, gt=0)
    dispute_window_seconds: int = Field(default=7 * 24 * 3600, gt=0)  # after completion
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

    def due_time(self, urgency: Urgency, *, revision: bool = False) -> timedelta:
        """How long a worker has for the work, or for a revision of it."""
        return timedelta(seconds=self.due_seconds[urgency]) / (2 if revision else 1)

    def review_reminders(self) -> list[timedelta]:
        """When a silent client is reminded, after a delivery; none at or past the automatic approval."""
        return [
            timedelta(seconds=seconds)
            for seconds in sorted(self.review_reminder_seconds)
            if seconds < self.auto_approve_seconds
        ]
