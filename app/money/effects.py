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


# What each correction corrects. The expiry of a lot counts as one of the transaction that made the lot.
CORRECTED: dict[Kind, tuple[Kind, ...]] = {
    Kind.CREDIT_REFUND: (Kind.HOLD_RESOLUTION,),
    Kind.CREDIT_EXPIRY: (Kind.CREDIT_GRANT, Kind.CREDIT_REFUND),
    Kind.CREDIT_CLAWBACK: (Kind.CREDIT_GRANT,),
    Kind.EARNING_REVERSAL: (Kind.WORKER_ACCRUAL,),
    Kind.TRANSFER_REVERSAL: (Kind.WORKER_TRANSFER,),
}


def correctable_amount(original: Transaction) -> int:
    """How much of a transaction its corrections can take together: what it granted, spent, earned or sent."""
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

    @property
    def remaining(self) -> int:
        """What further corrections can take."""
        return max(0, correctable_amount(self.original) - self.total)

    def corrected(self, amount: int) -> dict[str, Any]:
        """The fields of a row that takes so much of it."""
        return {
            "corrects": self.original.id,
            "correction_id": correction_id(self.original.id, self.number + 1),
            "corrected_total": self.total + amount,
        }

    def corrected_within(self, amount: int) -> dict[str, Any]:
        """The same.

        Raises:
            CorrectionExceeded: less than that remains.
        """
        if amount > self.remaining:
            raise CorrectionExceeded(remaining=self.remaining, requested=amount)
        return self.corrected(amount)


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when the transaction is written, and what the store found for its draft."""

    book: Book
    transaction_id: str
    seq: int
    at: datetime
    hold: Hold | None = None
    correctable: Correctable | None = None

    def original(self, kind: Kind, name: str) -> Correctable:
        """What a correction of that kind corrects.

        Raises:
            UnknownTransaction: this book has none by that name, or none that can be corrected so.
        """
        found = self.correctable
        if (
            found is None
            or found.original.book != self.book.name
            or found.original.kind not in CORRECTED[kind]
            or not correctable_amount(found.original)
        ):
            raise UnknownTransaction(name)
        return found


@dataclass(frozen=True, slots=True)
class Effect:
    """What a draft does to its book. `fields` are the row's further fields, by their Python names."""

    amount: int
    moves: dict[str, int]  # account -> signed amount in the book's currency; zeros are dropped
    status: Literal["posted", "pending", "released"] = "posted"
    usd: dict[str, int] = field(
        default_factory=dict
    )  # the same in cents, for money that came or went with credits
    lots: Lots | None = None  # the book's lots afterwards, when they change
    fields: dict[str, Any] = field(default_factory=dict)
