"""What is known of a client's billing after it was read from Stripe and settled. Ids, times and money only."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

ALIVE = frozenset({"active", "past_due", "unpaid", "trialing", "paused"})
OWING = frozenset({"past_due", "unpaid"})
ENDED = frozenset({"canceled", "incomplete_expired"})


class BillingState(BaseModel):
    """The state of a client's billing. `status` is Stripe's word; None: there is no subscription."""

    client_id: str
    customer_id: str | None = None
    subscription_id: str | None = None
    status: str | None = None
    tier: str | None = None
    period_end: datetime | None = None
    cancel_at_period_end: bool = False
    owed_invoice_id: str | None = None
    owed_cents: int = 0
    debt: int = 0  # hundredths of a credit
    faults: list[str] = Field(default_factory=list)  # what an admin must look at, by Stripe's id

    @property
    def is_alive(self) -> bool:
        """Whether something may still happen by itself."""
        return self.status in ALIVE or self.status == "incomplete"

    @property
    def is_owing(self) -> bool:
        """Whether a renewal's payment is missing."""
        return self.status in OWING and self.owed_invoice_id is not None
