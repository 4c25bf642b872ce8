"""What the rules of the books are given and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.money.books import Book
from app.money.errors import CorrectionExceeded, UnknownTransaction
from app.money.lots import Lots
from app.money.models import CreditBalances, EarningBalances, Hold, Kind, Transaction

Balances = CreditBalances | EarningBalances


# What each correction corrects.
CORRECTED: dict[Kind, Kind] = {
    Kind.CREDIT_REFUND: Kind.HOLD_RESOLUTION,
    Kind.EARNING_REVERSAL: Kind.WORKER_ACCRUAL,
    Kind.TRANSFER_REVERSAL: Kind.WORKER_TRANSFER,
}


def correctable_amount(original: Transaction) -> int:
    """How much of a transaction its corrections can take together: what it spent, earned or sent."""
    if original.kind is Kind.HOLD_RESOLUTION:
        return original.resolution.posted if original.resolution else 0
    return original.amount


def correction_id(transaction_id: str, number: int) -> str:
    """The name of a transaction's n-th correction, by which it is found."""
    return f"{transaction_id}:{number}"


@dataclass(frozen=True, slots=True)
class Correctable:
    """A transaction that a draft corrects, how many corrections it has, and how much they took of it together."""

    original: Transaction
    number: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when the transaction is written, and what the store found for its draft."""

    book: Book
    transaction_id: str
    seq: int
    at: datetime
    hold: Hold | None = None
    correctable: Correctable | None = None

    def corrected(self, kind: Kind, name: str, amount: int) -> tuple[Correctable, dict[str, Any]]:
        """What a correction of that kind takes an amount of, and the fields of its row.

        Raises:
            UnknownTransaction: this book has none by that name, or none that can be corrected so.
            CorrectionExceeded: the corrections would take more than there is, together.
        """
        found = self.correctable
        if (
            found is None
            or found.original.book != self.book.name
            or found.original.kind is not CORRECTED[kind]
            or not correctable_amount(found.original)
        ):
            raise UnknownTransaction(name)
        remaining = correctable_amount(found.original) - found.total
        if amount > remaining:
            raise CorrectionExceeded(remaining=remaining, requested=amount)
        return found, {
            "corrects": found.original.id,
            "correction_id": correction_id(found.original.id, found.number + 1),
            "corrected_total": found.total + amount,
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """What a draft does to its book. `fields` are the row's further fields, by their Python names."""

    amount: int
    moves: dict[str, int]  # account -> signed amount in the book's currency; zeros are dropped
    status: Literal["posted", "pending", "released"] = "posted"
    lots: Lots | None = None  # the book's lots afterwards, when they change
    fields: dict[str, Any] = field(default_factory=dict)
