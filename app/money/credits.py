"""A client's credits: granted, held, resolved, refunded, expired, taken back. Amounts are hundredths of a credit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.documents import utcnow
from app.money.books import client_book
from app.money.credit_answers import (
    ClawbackOutcome,
    CreditBalance,
    ExpiryOutcome,
    GrantOutcome,
    HoldOutcome,
    RefundOutcome,
    Resolution,
    available_after,
)
from app.money.drafts import (
    ClawBackCredits,
    ExpireLot,
    GrantCredits,
    HoldCredits,
    Original,
    RefundCredits,
    ResolveHold,
    draft,
)
from app.money.errors import AccountInDebt, CorrectionExceeded, InsufficientCredits, NothingToExpire
from app.money.journal import Journal
from app.money.keys import expiry_key
from app.money.lots import is_expired
from app.money.models import CreditBalances, Ending, Kind, Lot

__all__ = [
    "ClawbackOutcome",
    "CreditBalance",
    "Credits",
    "ExpiryOutcome",
    "GrantOutcome",
    "HoldOutcome",
    "RefundOutcome",
    "Resolution",
]


class Credits:
    """The credits of every client. Pass a `journal` to share its heads with other facades of the process."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, journal: Journal | None = None) -> None:
        self._journal = journal or Journal(database)

    async def grant(
        self,
        client_id: str,
        amount: int,
        *,
        key: str,
        source: str,
        expires_at: datetime | None = None,
        subscription_id: str | None = None,
        stripe_payment_intent_id: str | None = None,
        paid_cents: int | None = None,
        reason: str | None = None,
        actor_id: str | None = None,
    ) -> GrantOutcome:
        """Add a lot of credits. `expires_at` must come from the act, not the clock, or a repeat will not match.

        `paid_cents` is what the client paid for them, in USD cents. A debt is paid first.

        Raises:
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(
            GrantCredits,
            key=key,
            client_id=client_id,
            amount=amount,
            source=source,
            expires_at=expires_at,
            subscription_id=subscription_id,
            stripe_payment_intent_id=stripe_payment_intent_id,
            paid_cents=paid_cents,
            reason=reason,
            actor_id=actor_id,
        )
        return GrantOutcome.of(await self._journal.post(act))

    async def hold(self, client_id: str, job_id: str, amount: int, *, key: str) -> HoldOutcome:
        """Set credits aside for a job, so that they cannot be spent twice. Refused as long as there is a debt.

        Raises:
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(HoldCredits, key=key, client_id=client_id, job_id=job_id, amount=amount)
        try:
            posting = await self._journal.post(act)
        except InsufficientCredits as refusal:
            return HoldOutcome(
                outcome="insufficient", hold_key=key, amount=amount, available=refusal.available
            )
        except AccountInDebt as refusal:
            return HoldOutcome(outcome="in_debt", hold_key=key, amount=amount, available=0, debt=refusal.debt)
        row = posting.transaction
        return HoldOutcome(
            outcome="held",
            hold_key=row.key,
            amount=row.amount,
            available=available_after(row),
            transaction_id=row.id,
            replayed=posting.replayed,
        )

    async def resolve(
        self, client_id: str, hold_key: str, *, post: int, release: int, hold_again: int = 0, key: str
    ) -> Resolution:
        """End a hold once: the three amounts must add up to it. What is held again is a new hold named `key`.

        Raises:
            UnknownHold, HoldAmountMismatch: the hold is not this client's, or is not of that amount.
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(
            ResolveHold,
            key=key,
            client_id=client_id,
            hold_key=hold_key,
            post=post,
            release=release,
            hold_again=hold_again,
        )
        return Resolution.of(await self._journal.post(act))

    async def void(self, client_id: str, hold_key: str, *, key: str) -> Resolution:
        """Release a whole hold because its job will not be.

        Raises:
            UnknownHold: the hold is not this client's.
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        return await self._end(client_id, hold_key, Ending.VOID, key=key)

    async def expire_hold(self, client_id: str, hold_key: str, *, key: str) -> Resolution:
        """Release a whole hold because its time is over; when that is, the caller says.

        Raises:
            UnknownHold: the hold is not this client's.
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        return await self._end(client_id, hold_key, Ending.EXPIRE, key=key)

    async def _end(self, client_id: str, hold_key: str, ending: Ending, *, key: str) -> Resolution:
        act = draft(
            ResolveHold,
            key=key,
            client_id=client_id,
            hold_key=hold_key,
            post=0,
            release=0,
            ending=ending,
        )
        return Resolution.of(await self._journal.post(act))

    async def refund(
        self,
        client_id: str,
        spent_key: str,
        amount: int,
        *,
        key: str,
        reason: str,
        expires_at: datetime | None = None,
    ) -> RefundOutcome:
        """Give back credits that the resolution under `spent_key` spent, over all its refunds no more than that.

        They return to the lots that paid. What has expired meanwhile becomes a new lot that can be spent until
        `expires_at`, which must come from the act and not from the clock.

        Raises:
            UnknownTransaction: this client spent nothing under that key.
            CorrectionExceeded: less than that is left to give back (its `remaining`).
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(
            RefundCredits,
            key=key,
            client_id=client_id,
            spent_key=spent_key,
            amount=amount,
            reason=reason,
            expires_at=expires_at,
        )
        return RefundOutcome.of(await self._journal.post(act))

    async def refundable(self, key: str) -> int:
        """What is left of the credits spent under a key that `refund` could give back; zero for any other act."""
        spent = await self._journal.correctable(Original("key", key))
        return spent.remaining if spent and spent.original.kind is Kind.HOLD_RESOLUTION else 0

    async def claw_back(
        self,
        client_id: str,
        grant_key: str,
        amount: int,
        *,
        key: str,
        reason: str,
        returned_cents: int | None = None,
        stripe_refund_id: str | None = None,
    ) -> ClawbackOutcome:
        """Take back credits of a grant whose payment was refunded or charged back; what is spent becomes a debt.

        `returned_cents` is what the client got back, in USD cents.

        Raises:
            UnknownTransaction: this client was granted nothing under that key.
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        act = draft(
            ClawBackCredits,
            key=key,
            client_id=client_id,
            grant_key=grant_key,
            amount=amount,
            reason=reason,
            returned_cents=returned_cents,
            stripe_refund_id=stripe_refund_id,
        )
        try:
            return ClawbackOutcome.of(await self._journal.post(act))
        except CorrectionExceeded:
            balance = await self.balance(client_id)
            return ClawbackOutcome(debt=balance.debt, available=balance.available, held=balance.held)

    async def expire(self, client_id: str) -> tuple[ExpiryOutcome, ...]:
        """Book what has expired of a client's lots as breakage. Repeatable: what is booked is no longer there.

        Raises:
            InvalidDraft, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        head = await self._journal.head(client_book(client_id))
        now = utcnow()
        expired = [lot for lot in head.credits.lots if is_expired(lot, now)] if head else []
        outcomes = [await self._expire_lot(client_id, lot) for lot in expired]
        return tuple(outcome for outcome in outcomes if outcome)

    async def _expire_lot(self, client_id: str, lot: Lot) -> ExpiryOutcome | None:
        found = await self._journal.correctable(Original("_id", lot.lot_id))
        key = expiry_key(lot.lot_id, found.number + 1 if found else 1)
        try:
            posting = await self._journal.post(
                draft(ExpireLot, key=key, client_id=client_id, lot_id=lot.lot_id)
            )
        except NothingToExpire:  # another run was first
            return None
        row = posting.transaction
        return ExpiryOutcome(transaction_id=row.id, lot_id=lot.lot_id, source=lot.source, amount=row.amount)

    async def balance(self, client_id: str) -> CreditBalance:
        """The client's credits at this moment, read from the journal (one read when its head is known).

        Raises:
            InvalidDraft: no client can have that id.
            LedgerCorrupted: the book's last row was tampered with.
        """
        head = await self._journal.head(client_book(client_id))
        return CreditBalance.at(head.credits if head else CreditBalances(), utcnow())
