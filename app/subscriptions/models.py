"""The collection `subscriptions`: one for each client."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, IndexModel

from app.documents import CamelDocument, CamelModel, utcnow
from app.ids import new_id
from app.subscriptions.tiers import TIERS, Tier, TierName


class SubscriptionStatus(StrEnum):
    """Stripe's words for the state of a subscription, as far as they are used."""

    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


class CachedCredits(CamelModel):
    """A copy of the journal's balances in hundredths of a credit, for lists. Never decide by it."""

    available: int = 0
    held: int = 0


class Subscription(CamelDocument):
    """What a client subscribes to. Written by targeted updates only."""

    id: str = Field(default_factory=new_id, alias="_id")  # type: ignore[assignment]  # text in place of an ObjectId
    user_id: str
    tier: TierName
    credits: CachedCredits = Field(default_factory=CachedCredits)
    stripe_subscription_id: str | None = None
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    current_period_start: datetime
    current_period_end: datetime
    cancel_at_period_end: bool = False
    past_due_since: datetime | None = None
    grace_until: datetime | None = None  # while a payment is missing: then the subscription ends
    ended_at: datetime | None = None
    created_at: datetime = Field(default_factory=utcnow)

    class Settings:
        name = "subscriptions"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("userId", ASCENDING)], name="user_id_unique", unique=True)
        ]

    @property
    def plan(self) -> Tier:
        """The tier's prices and rules."""
        return TIERS[self.tier]


class BillingCustomer(CamelDocument):
    """Who a client is at Stripe. Written once, before anything is sold."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # the client's id
    stripe_customer_id: str
    created_at: datetime = Field(default_factory=utcnow)

    class Settings:
        name = "billing_customers"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("stripeCustomerId", ASCENDING)], name="stripe_customer_unique", unique=True)
        ]


class PaidGrant(CamelDocument):
    """What one payment bought, so that its way back is found: by the invoice's id, or a pack's payment intent."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # Stripe's id of what was paid
    client_id: str
    grant_key: str
    payment_id: str | None = None
    paid_cents: int
    credits: int  # hundredths
    expires_at: datetime | None = None
    subscription_id: str | None = None  # Stripe's
    period_end: datetime | None = None
    taken_back: bool = False  # a refund or a dispute was seen: look again for how it ended
    settled_causes: dict[str, str] = Field(
        default_factory=dict
    )  # refunds and disputes, by the status they had then

    class Settings:
        name = "paid_grants"
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("paymentId", ASCENDING)], name="payment_id")]


DOCUMENTS: list[type[Document]] = [Subscription, BillingCustomer, PaidGrant]
