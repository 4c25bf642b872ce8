"""What a client's book answers. Amounts are hundredths of a credit."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict

from app.documents import CamelModel
from app.money.journal import Posting
from app.money.lots import in_burn_order, is_expired, spendable, total
from app.money.models import CreditBalances, Ending, Lot, Transaction


class _Answer(CamelModel):
    model_config = ConfigDict(frozen=True)


class CreditBalance(_Answer):
    """What a client has. `available` is unexpired; `expired` lapsed and is not booked so yet; `lots` are alive.

    While there is a `debt`, nothing can be held.
    """

    available: int
    held: int
    expired: int
    debt: int = 0
    lots: tuple[Lot, ...]

    @classmethod
    def at(cls, balances: CreditBalances, instant: datetime) -> Self:
        """The balances as they stand at an instant."""
        alive = tuple(lot for lot in in_burn_order(balances.lots) if not is_expired(lot, instant))
        return cls(
            available=total(alive),
            held=balances.held,
            expired=balances.available - total(alive),
            debt=balances.debt,
            lots=alive,
        )


class GrantOutcome(_Answer):
    """A grant as it was first written; `debt_paid` of it went to a debt. The balances are those right after it."""

    transaction_id: str
    amount: int
    available: int
    held: int
    debt: int = 0
    debt_paid: int = 0
    replayed: bool

    @classmethod
    def of(cls, posting: Posting) -> Self:
        """The grant that a posting stands for."""
        row = posting.transaction
        return cls(
            transaction_id=row.id,
            amount=row.amount,
            available=available_after(row),
            held=row.credits.held,
            debt=row.credits.debt,
            debt_paid=row.debt.paid if row.debt else 0,
            replayed=posting.replayed,
        )


class HoldOutcome(_Answer):
    """`held`: the credits are set aside under `hold_key`. `insufficient` and `in_debt`: nothing changed.

    `available` is what could be spent right after (held), or what there was (insufficient); it is zero as long as
    there is a debt. A refusal is not written: the same key may hold later, when there are more credits.
    """

    outcome: Literal["held", "insufficient", "in_debt"]
    hold_key: str
    amount: int
    available: int
    debt: int = 0
    transaction_id: str | None = None
    replayed: bool = False


class Resolution(_Answer):
    """What became of a hold. `already_resolved`: another act did it before, and these are that act's figures.

    `ending` says whether it was void or expired; `debt_paid` of what was released went to a debt.
    """

    transaction_id: str
    key: str
    hold_key: str
    job_id: str
    posted: int
    released: int
    held_again: int
    consumed: tuple[Lot, ...]
    ending: Ending | None = None
    available: int
    held: int
    debt_paid: int = 0
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
            ending=row.ending,
            debt_paid=row.debt.paid if row.debt else 0,
            available=available_after(row),
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
    debt_paid: int = 0
    replayed: bool

    @classmethod
    def of(cls, posting: Posting) -> Self:
        """The refund that a posting stands for.

        Raises:
            TypeError: the transaction corrects nothing.
        """
        row = posting.transaction
        if row.corrects is None or row.corrected_total is None:
            raise TypeError(f"{row.id} corrects nothing")
        return cls(
            transaction_id=row.id,
            corrects=row.corrects,
            job_id=row.job_id,
            amount=row.amount,
            refunded_total=row.corrected_total,
            lots=row.restored or (),
            available=available_after(row),
            held=row.credits.held,
            debt_paid=row.debt.paid if row.debt else 0,
            replayed=posting.replayed,
        )


class ClawbackOutcome(_Answer):
    """Granted credits taken back: `taken` of what was available, `debt_incurred` of what was not.

    `amount` is their sum, and less than was asked for when less was left of the grant: the rest had been taken back
    before, or had expired. When nothing was left and no money went back, nothing is written and `transaction_id` is
    None.
    """

    transaction_id: str | None = None
    amount: int = 0
    taken: int = 0
    debt_incurred: int = 0
    debt: int
    available: int
    held: int
    replayed: bool = False

    @classmethod
    def of(cls, posting: Posting) -> Self:
        """The clawback that a posting stands for."""
        row = posting.transaction
        return cls(
            transaction_id=row.id,
            amount=row.amount,
            taken=total(row.removed or ()),
            debt_incurred=row.debt.incurred if row.debt else 0,
            debt=row.credits.debt,
            available=available_after(row),
            held=row.credits.held,
            replayed=posting.replayed,
        )


class ExpiryOutcome(_Answer):
    """Credits of a lot that lapsed and are booked as breakage."""

    transaction_id: str
    lot_id: str
    source: str
    amount: int


def available_after(row: Transaction) -> int:
    """What could be spent right after a transaction."""
    return spendable(row.credits.lots, row.created_at)
