"""The collection `reconciliations`: what a night's comparison of ledger, Stripe and jobs found, and what mends it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from beanie import Document
from pydantic import Field
from pymongo import IndexModel

from app.documents import CamelDocument, CamelModel

COLLECTION = "reconciliations"


class DifferenceKind(StrEnum):
    """What disagrees with what."""

    TRANSFER_WITHOUT_ROW = "transfer_without_row"
    ROW_WITHOUT_TRANSFER = "row_without_transfer"
    AMOUNT_DIFFERS = "amount_differs"
    REVERSAL_WITHOUT_ROW = "reversal_without_row"
    HOLD_OF_ENDED_JOB = "hold_of_ended_job"
    JOB_WITHOUT_ACCRUAL = "job_without_accrual"
    PAYOUT_STUCK = "payout_stuck"
    BANK_PAYOUT_STUCK = "bank_payout_stuck"
    PAID_WITHOUT_GRANT = "paid_without_grant"
    RETURNED_WITHOUT_CLAWBACK = "returned_without_clawback"
    GRANT_WITHOUT_PAYMENT = "grant_without_payment"


class RepairKind(StrEnum):
    """What an admin may have done. Each is an act with a key of its own, so doing it again changes nothing."""

    RECORD_TRANSFER = "record_transfer"
    RECORD_REVERSAL = "record_reversal"
    MAKE_PAYABLE = "make_payable"
    RELEASE_HOLD = "release_hold"
    ACCRUE = "accrue"
    TRY_PAYOUT = "try_payout"
    FOLLOW_BANK_PAYOUT = "follow_bank_payout"
    SETTLE_BILLING = "settle_billing"
    BY_HAND = "by_hand"


class Repair(CamelModel):
    """A proposed repair in words, and what it needs to be done."""

    kind: RepairKind
    proposal: str
    fields: dict[str, Any] = Field(default_factory=dict)


class Difference(CamelModel):
    """One thing that disagrees. `number` counts from 1 within its report."""

    number: int
    kind: DifferenceKind
    detail: str
    job_id: str | None = None
    worker_id: str | None = None
    client_id: str | None = None
    repair: Repair
    applied_by: str | None = None
    applied_at: datetime | None = None


class Reconciliation(CamelDocument):
    """One comparison. `left_out` are differences past the first thousand."""

    id: str = Field(alias="_id")  # type: ignore[assignment]  # text in place of an ObjectId
    at: datetime
    since: datetime
    transfers: int
    rows: int
    jobs: int
    differences: list[Difference] = Field(default_factory=list)
    left_out: int = 0

    class Settings:
        """Collection."""

        name = COLLECTION
        indexes: ClassVar[list[IndexModel]] = [IndexModel([("at", -1)], name="at")]


DOCUMENTS: list[type[Document]] = [Reconciliation]
