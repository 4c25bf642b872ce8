"""When a client who owes a renewal is reminded, and when the subscription ends. Pure arithmetic."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, Field


class DunningPolicy(BaseModel):
    """Seconds from the first failed payment. Stripe's own attempts go on meanwhile, by its dashboard's schedule."""

    reminder_seconds: list[int] = Field(default_factory=lambda: [day * 86_400 for day in (3, 8, 14)])
    grace_seconds: int = Field(default=21 * 86_400, gt=0)


class Dunning(BaseModel):
    """One missing payment: since when, and how many reminders were sent after the first notice."""

    invoice_id: str
    since: datetime
    reminded: int = 0

    def grace_until(self, policy: DunningPolicy) -> datetime:
        """When the subscription ends if nothing is paid."""
        return self.since + timedelta(seconds=policy.grace_seconds)

    def next_reminder(self, policy: DunningPolicy) -> datetime | None:
        """When the next reminder is due; None after the last, and none after the grace period."""
        if self.reminded >= len(policy.reminder_seconds):
            return None
        at = self.since + timedelta(seconds=policy.reminder_seconds[self.reminded])
        return at if at < self.grace_until(policy) else None

    def reminders_due(self, policy: DunningPolicy, at: datetime) -> int:
        """How many reminders there should have been by then."""
        return sum(self.since + timedelta(seconds=seconds) <= at for seconds in policy.reminder_seconds)

    def next_wake(self, policy: DunningPolicy) -> datetime:
        """When something is to be done next."""
        return self.next_reminder(policy) or self.grace_until(policy)
