"""A worker's earnings: accrued by jobs, transferred by Stripe. Amounts are USD cents."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import CamelModel
from app.money.books import worker_book
from app.money.drafts import (
    AccrueEarnings,
    Original,
    RecordTransfer,
    RecordTransferReversal,
    ReverseEarnings,
    draft,
)
from app.money.errors import IdempotencyKeyReused
from app.money.journal import Journal, Posting
from app.money.keys import accrue_key
from app.money.keys import transfer_key as key_of_transfer
from app.money.models import EarningBalances


class EarningBalance(CamelModel):
    """What a worker is owed (`payable`), was sent (`paid`), and owes (`debt`)."""

    model_config = ConfigDict(frozen=True)

    payable: int
    paid: int
    debt: int = 0


class EarningOutcome(CamelModel):
    """An accrual, a transfer or a reversal as it was first written, and the balances right after it.

    `debt_paid` is the part that went to a debt instead of becoming payable; `debt_incurred` is the part of a reversal
    that nothing payable covered.
    """

    model_config = ConfigDict(frozen=True)

    transaction_id: str
    amount: int
    payable: int
    paid: int
    debt: int = 0
    debt_paid: int = 0
    debt_incurred: int = 0
    stripe_transfer_id: str | None
    stripe_reversal_id: str | None = None
    replayed: bool


class Earnings:
    """The earnings of every worker. Pass a `journal` to share its heads with other facades of the process."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, journal: Journal | None = None) -> None:
        self._journal = journal or Journal(database)

    async def accrue(self, worker_id: str, job_id: str, amount_cents: int, *, key: str) -> EarningOutcome:
        """Owe a worker the pay of a job. A debt is paid first: send `amount - debt_paid`, or ask `transferable`.

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

    async def reverse(
        self, worker_id: str, job_id: str, amount_cents: int, *, key: str, reason: str, number: int = 1
    ) -> EarningOutcome:
        """Take back pay of the job's accrual of that number: what is payable first, the rest becomes a debt.

        Raises:
            UnknownTransaction: the worker earned nothing by that job under that number.
            CorrectionExceeded: less than that is left of the accrual (its `remaining`).
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(
            ReverseEarnings,
            key=key,
            worker_id=worker_id,
            job_id=job_id,
            accrual_key=accrue_key(job_id, number),
            amount=amount_cents,
            reason=reason,
        )
        return _outcome(await self._journal.post(act))

    async def record_transfer_reversal(
        self,
        worker_id: str,
        job_id: str,
        amount_cents: int,
        *,
        key: str,
        stripe_reversal_id: str,
        reason: str | None = None,
        number: int = 1,
    ) -> EarningOutcome:
        """Record that Stripe gave back (a part of) the job's transfer of that number: payable again, after debts.

        Whether it is sent anew or taken back (`reverse`) is an act of its own. Both orders end the same: a debt
        that the reversal left is paid by the money that comes back.

        What came back is Stripe's word, and the reason that of who hears of it first: whoever hears of it later, for
        another reason, gets the first answer.

        Raises:
            UnknownTransaction: no such transfer was recorded.
            CorrectionExceeded: more came back than was sent.
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(
            RecordTransferReversal,
            key=key,
            worker_id=worker_id,
            job_id=job_id,
            transfer_key=key_of_transfer(job_id, number),
            amount=amount_cents,
            stripe_reversal_id=stripe_reversal_id,
            reason=reason,
        )
        try:
            return _outcome(await self._journal.post(act))
        except IdempotencyKeyReused:
            known = await self._journal.find(key)
            if known is None:
                raise
            as_known = act.model_copy(update={"reason": known.reason})
            if as_known.body_hash != known.body_hash:
                raise
            return _outcome(Posting(known, replayed=True))

    async def transferable(self, worker_id: str, job_id: str, *, number: int = 1) -> int:
        """What may be sent for the job's accrual of that number: less debts it paid and what was taken back.

        Never more than is payable in all; zero when it was sent, and when nothing was earned.

        Raises:
            InvalidDraft, LedgerCorrupted: see `balance`.
        """
        accrual = await self._journal.correctable(Original("key", accrue_key(job_id, number)))
        if accrual is None or accrual.original.worker_id != worker_id:
            return 0
        sent = await self._journal.correctable(Original("key", key_of_transfer(job_id, number)))
        kept = sent.original.amount - sent.total if sent else 0
        paid_debt = accrual.original.debt.paid if accrual.original.debt else 0
        left = accrual.original.amount - paid_debt - accrual.total - kept
        return max(0, min(left, (await self.balance(worker_id)).payable))

    async def transferred(self, job_id: str, *, number: int = 1) -> int:
        """What was sent by the job's transfer of that number, as it was recorded; zero when none was."""
        sent = await self._journal.correctable(Original("key", key_of_transfer(job_id, number)))
        return sent.original.amount if sent else 0

    async def reversible(self, job_id: str, *, number: int = 1) -> int:
        """What is left of the job's accrual of that number that `reverse` could take; zero when there is none."""
        accrual = await self._journal.correctable(Original("key", accrue_key(job_id, number)))
        return accrual.remaining if accrual else 0

    async def balance(self, worker_id: str) -> EarningBalance:
        """The worker's earnings at this moment, read from the journal.

        Raises:
            InvalidDraft: no worker can have that id.
            LedgerCorrupted: the book's last row was tampered with.
        """
        head = await self._journal.head(worker_book(worker_id))
        balances = head.earnings if head else EarningBalances()
        return EarningBalance(payable=balances.payable, paid=balances.paid, debt=balances.debt)


def _outcome(posting: Posting) -> EarningOutcome:
    row = posting.transaction
    return EarningOutcome(
        transaction_id=row.id,
        amount=row.amount,
        payable=row.earnings.payable,
        paid=row.earnings.paid,
        debt=row.earnings.debt,
        debt_paid=row.debt.paid if row.debt else 0,
        debt_incurred=row.debt.incurred if row.debt else 0,
        stripe_transfer_id=row.stripe_transfer_id,
        stripe_reversal_id=row.stripe_reversal_id,
        replayed=posting.replayed,
    )
