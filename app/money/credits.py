"""A client's credits: granted, held, resolved. Amounts are hundredths of a credit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import ConfigDict
from pymongo.asynchronous.database import AsyncDatabase

from app.documents import CamelModel, utcnow
from app.money.books import client_book
from app.money.drafts import GrantCredits, HoldCredits, RefundCredits, ResolveHold, draft
from app.money.errors import InsufficientCredits
from app.money.journal import Journal, Posting
from app.money.lots import in_burn_order, is_expired, spendable, total
from app.money.models import CreditBalances, Lot, Transaction


class _Answer(CamelModel):
    model_config = ConfigDict(frozen=True)


class CreditBalance(_Answer):
    """What a client has. `available` can be held now; `expired` lapsed unspent; `lots` are the living ones."""

    available: int
    held: int
    expired: int
    lots: tuple[Lot, ...]

    @classmethod
    def at(cls, balances: CreditBalances, instant: datetime) -> Self:
        """The balances as they stand at an instant."""
        alive = tuple(lot for lot in in_burn_order(balances.lots) if not is_expired(lot, instant))
        return cls(
            available=total(alive),
            held=balances.held,
            expired=balances.available - total(alive),
            lots=alive,
        )


class GrantOutcome(_Answer):
    """A grant as it was first written. `available` and `held` are the balances right after it."""

    transaction_id: str
    amount: int
    available: int
    held: int
    replayed: bool


class HoldOutcome(_Answer):
    """`held`: the credits are set aside under `hold_key`. `insufficient`: nothing changed.

    `available` is what could be spent right after (held), or what there was (insufficient). A refusal is not
    written: the same key may hold later, when there are more credits.
    """

    outcome: Literal["held", "insufficient"]
    hold_key: str
    amount: int
    available: int
    transaction_id: str | None = None
    replayed: bool = False


class Resolution(_Answer):
    """What became of a hold. `already_resolved`: another act did it before, and these are that act's figures."""

    transaction_id: str
    key: str
    hold_key: str
    job_id: str
    posted: int
    released: int
    held_again: int
    consumed: tuple[Lot, ...]
    available: int
    held: int
    replayed: bool
    already_resolved: bool

    @classmethod
    def of(cls, posting: Posting) -> Self:
        """The resolution that a posting stands for.

        Raises:
            TypeError: the transaction resolves no hold.
        """
        row = posting.transaction
        if row.resolution is None or row.resolves_hold is None or row.job_id is None:
            raise TypeError(f"{row.id} resolves no hold")
        return cls(
            transaction_id=row.id,
            key=row.key,
            hold_key=row.resolves_hold,
            job_id=row.job_id,
            posted=row.resolution.posted,
            released=row.resolution.released,
            held_again=row.resolution.held_again,
            consumed=row.resolution.consumed,
            available=_available_after(row),
            held=row.credits.held,
            replayed=posting.replayed,
            already_resolved=posting.already_resolved,
        )


class RefundOutcome(_Answer):
    """A refund as it was first written: into which lots, and how much of the spend is now given back in all."""

    transaction_id: str
    corrects: str
    job_id: str | None
    amount: int
    refunded_total: int
    lots: tuple[Lot, ...]
    available: int
    held: int
    replayed: bool


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
    ) -> GrantOutcome:
        """Add a lot of credits. `expires_at` must come from the act, not the clock, or a repeat will not match.

        Raises:
            InvalidDraft, IdempotencyKeyReused, LedgerContention, LedgerCorrupted: see `Journal.post`.
        """
        posting = await self._journal.post(
            draft(
                GrantCredits,
                key=key,
                client_id=client_id,
                amount=amount,
                source=source,
                expires_at=expires_at,
                subscription_id=subscription_id,
                stripe_payment_intent_id=stripe_payment_intent_id,
            )
        )
        row = posting.transaction
        return GrantOutcome(
            transaction_id=row.id,
            amount=row.amount,
            available=_available_after(row),
            held=row.credits.held,
            replayed=posting.replayed,
        )

    async def hold(self, client_id: str, job_id: str, amount: int, *, key: str) -> HoldOutcome:
        """Set credits aside for a job, so that they cannot be spent twice.

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
        row = posting.transaction
        return HoldOutcome(
            outcome="held",
            hold_key=row.key,
            amount=row.amount,
            available=_available_after(row),
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
        posting = await self._journal.post(act)
        row = posting.transaction
        return RefundOutcome(
            transaction_id=row.id,
            corrects=row.corrects or "",
            job_id=row.job_id,
            amount=row.amount,
            refunded_total=row.corrected_total or 0,
            lots=row.restored or (),
            available=_available_after(row),
            held=row.credits.held,
            replayed=posting.replayed,
        )

    async def balance(self, client_id: str) -> CreditBalance:
        """The client's credits at this moment, read from the journal (one read when its head is known).

        Raises:
            InvalidDraft: no client can have that id.
            LedgerCorrupted: the book's last row was tampered with.
        """
        head = await self._journal.head(client_book(client_id))
        return CreditBalance.at(head.credits if head else CreditBalances(), utcnow())


def _available_after(row: Transaction) -> int:
    return spendable(row.credits.lots, row.created_at)
