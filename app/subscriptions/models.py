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


DOCUMENTS: list[type[Document]] = [Subscription]
