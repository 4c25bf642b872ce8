"""The collection `payouts`: money from a worker's connected account to the worker's bank, one for each period."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from beanie import Document
from pydantic import Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.documents import CamelDocument

COLLECTION = "payouts"


class BankPayoutStatus(StrEnum):
    """`sending`: decided, Stripe has not answered yet. `refused`: nothing moved. The rest are Stripe's words."""

    SENDING = "sending"
    REFUSED = "refused"
    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_open(self) -> bool:
        """Whether more is to come."""
        return self in (BankPayoutStatus.SENDING, BankPayoutStatus.PENDING, BankPayoutStatus.IN_TRANSIT)


class BankPayout(CamelDocument):
    """One payout; `_id` is `<workerId>:<period>`. Its amount is fixed before Stripe is asked, so a repeat is the same.

    `tries` counts the idempotency keys under which Stripe has saved an answer of no use.
    """

    id: str = Field(alias="_id")  # type: ignore[assignment]  # a business key in place of an ObjectId
    worker_id: str
    account_id: str
    period: str
    amount_usd_cents: int
    status: BankPayoutStatus = BankPayoutStatus.SENDING
    stripe_payout_id: str | None = None
    failure_code: str | None = None
    tries: int = 0
    created_at: datetime
    arrives_at: datetime | None = None
    settled_at: datetime | None = None
    updated_at: datetime

    class Settings:
        """Collection and indexes."""

        name = COLLECTION
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("workerId", ASCENDING), ("createdAt", DESCENDING)], name="worker_created_at"),
            IndexModel([("status", ASCENDING), ("createdAt", ASCENDING)], name="status_created_at"),
        ]


def bank_payout_id(worker_id: str, period: str) -> str:
    """The `_id` of a worker's payout of a period; Stripe keeps it in the payout's metadata."""
    return f"{worker_id}:{period}"


DOCUMENTS: list[type[Document]] = [BankPayout]
