"""A worker's earnings: accrued by jobs, transferred by Stripe. Amounts are USD cents."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import CamelModel
from app.money.books import worker_book
from app.money.drafts import AccrueEarnings, RecordTransfer, draft
from app.money.journal import Journal, Posting
from app.money.models import EarningBalances


class EarningBalance(CamelModel):
    """What a worker is owed (`payable`) and was sent (`paid`)."""

    model_config = ConfigDict(frozen=True)

    payable: int
    paid: int


class EarningOutcome(CamelModel):
    """An accrual or a transfer as it was first written, and the balances right after it."""

    model_config = ConfigDict(frozen=True)

    transaction_id: str
    amount: int
    payable: int
    paid: int
    stripe_transfer_id: str | None
    replayed: bool


class Earnings:
    """The earnings of every worker. Pass a `journal` to share its heads with other facades of the process."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, journal: Journal | None = None) -> None:
        self._journal = journal or Journal(database)

    async def accrue(self, worker_id: str, job_id: str, amount_cents: int, *, key: str) -> EarningOutcome:
        """Owe a worker the pay of a job.

        Raises:
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(AccrueEarnings, key=key, worker_id=worker_id, job_id=job_id, amount=amount_cents)
        return _outcome(await self._journal.post(act))

    async def record_transfer(
        self, worker_id: str, job_id: str, amount_cents: int, *, key: str, stripe_transfer_id: str
    ) -> EarningOutcome:
        """Record that Stripe moved the pay to the worker's connected account.

        Raises:
            NegativeBalance: more was transferred than is owed.
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`. A reused key
                here means two Stripe transfers for one job.
        """
        act = draft(
            RecordTransfer,
            key=key,
            worker_id=worker_id,
            job_id=job_id,
            amount=amount_cents,
            stripe_transfer_id=stripe_transfer_id,
        )
        return _outcome(await self._journal.post(act))

    async def balance(self, worker_id: str) -> EarningBalance:
        """The worker's earnings at this moment, read from the journal.

        Raises:
            InvalidDraft: no worker can have that id.
            LedgerCorrupted: the book's last row was tampered with.
        """
        head = await self._journal.head(worker_book(worker_id))
        balances = head.earnings if head else EarningBalances()
        return EarningBalance(payable=balances.payable, paid=balances.paid)


def _outcome(posting: Posting) -> EarningOutcome:
    row = posting.transaction
    return EarningOutcome(
        transaction_id=row.id,
        amount=row.amount,
        payable=row.earnings.payable,
        paid=row.earnings.paid,
        stripe_transfer_id=row.stripe_transfer_id,
        replayed=posting.replayed,
    )
