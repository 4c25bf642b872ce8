"""The journal's row and its parts, as stored in the collection `transactions`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from beanie import Document
from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from app.documents import CamelModel
from app.money.books import Book, Currency
from app.money.hashing import row_hash

# The journal is written by plain inserts, never through Beanie, whose `save()` could edit a row.
DOCUMENTS: list[type[Document]] = []


def _to_millisecond(value: datetime) -> datetime:
    utc = value.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


Instant = Annotated[AwareDatetime, AfterValidator(_to_millisecond)]


class Kind(StrEnum):
    """What a transaction did. New kinds are added; none is renamed, since rows are for ever."""

    CREDIT_GRANT = "credit_grant"
    CREDIT_HOLD = "credit_hold"
    HOLD_RESOLUTION = "hold_resolution"
    CREDIT_REFUND = "credit_refund"
    CREDIT_EXPIRY = "credit_expiry"
    CREDIT_CLAWBACK = "credit_clawback"
    WORKER_ACCRUAL = "worker_accrual"
    WORKER_TRANSFER = "worker_transfer"
    EARNING_REVERSAL = "earning_reversal"
    TRANSFER_REVERSAL = "transfer_reversal"


class _Part(CamelModel):
    # An unknown field is refused: a process of an older version would drop a balance it does not know of.
    model_config = ConfigDict(frozen=True, extra="forbid")


class Leg(_Part):
    """One side of a transaction. Positive raises the account. The legs of each currency sum to zero."""

    account: str
    currency: Currency
    amount: int


class Lot(_Part):
    """Credits of one grant: what is left of them, or the part that a hold or a spend took."""

    lot_id: str  # the _id of the transaction that made it
    seq: int  # that transaction's place in the book: the order of creation
    source: str
    expires_at: Instant | None = None
    amount: int
    origin: str | None = None  # the lot whose expired credits a refund put back as this one


class Hold(_Part):
    """Credits set aside for a job. The transaction's `key` names the hold."""

    job_id: str
    amount: int
    lots: tuple[Lot, ...]


class Ending(StrEnum):
    """A resolution with a name: the whole hold is released."""

    VOID = "void"
    EXPIRE = "expire"


class HoldResolution(_Part):
    """What became of a hold; the three amounts add up to it. `consumed` says which lots paid for `posted`."""

    posted: int
    released: int
    held_again: int
    consumed: tuple[Lot, ...] = ()


class DebtMove(_Part):
    """What a transaction did to its owner's debt. `lots` are the credits that paid it, for a client."""

    incurred: int = 0
    paid: int = 0
    lots: tuple[Lot, ...] = ()


class CreditBalances(_Part):
    """A client's balances in hundredths of a credit. `available` is the sum of `lots`, expired ones included.

    `debt` is credits that were taken back after they were spent.
    """

    available: int = 0
    held: int = 0
    debt: int = 0
    lots: tuple[Lot, ...] = ()


class EarningBalances(_Part):
    """A worker's balances in USD cents. `debt` is pay that was taken back after it was sent."""

    payable: int = 0
    paid: int = 0
    debt: int = 0


class Transaction(_Part):
    """One row of the journal: the transaction, and where it left its book."""

    model_config = ConfigDict(
        frozen=True, extra="ignore"
    )  # a row written by a newer version is still readable

    id: str = Field(alias="_id")
    book: str
    seq: int
    kind: Kind
    key: str
    body_hash: str
    currency: Currency
    amount: int
    status: Literal["posted", "pending", "released"]
    legs: tuple[Leg, ...]
    balances: CreditBalances | EarningBalances

    lot: Lot | None = None
    hold: Hold | None = None
    resolves_hold: str | None = None
    resolution: HoldResolution | None = None
    ending: Ending | None = None
    corrects: str | None = None  # the _id of the transaction that this one corrects
    correction_id: str | None = None  # `<corrects>:<n>`: its n-th correction
    corrected_total: int | None = None  # by all corrections up to this one
    restored: tuple[Lot, ...] | None = None  # credits put back
    removed: tuple[Lot, ...] | None = None  # credits taken out
    debt: DebtMove | None = None
    reason: str | None = None
    actor_id: str | None = None  # the admin who did it

    client_id: str | None = None
    worker_id: str | None = None
    job_id: str | None = None
    subscription_id: str | None = None
    stripe_payment_intent_id: str | None = None
    stripe_transfer_id: str | None = None
    stripe_reversal_id: str | None = None
    stripe_refund_id: str | None = None
    metadata: dict[str, str] | None = None

    created_at: Instant
    previous_hash: str
    hash: str = ""

    def to_document(self) -> dict[str, Any]:
        """The row as it is inserted, sealed with its hash. Fields that say nothing are left out."""
        document = self.model_dump(by_alias=True, exclude_none=True, exclude={"hash"})
        if not document["balances"].get("debt"):
            # A process that knows of no debt can read the book as long as there is none.
            document["balances"].pop("debt", None)
        document["hash"] = row_hash(document)
        return document

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """The row as it was stored."""
        return cls.model_validate(document)

    @property
    def credits(self) -> CreditBalances:
        """The client's balances after this transaction.

        Raises:
            TypeError: the row belongs to a worker's book.
        """
        if not isinstance(self.balances, CreditBalances):
            raise TypeError(f"{self.book} holds no credits")
        return self.balances

    @property
    def earnings(self) -> EarningBalances:
        """The worker's balances after this transaction.

        Raises:
            TypeError: the row belongs to a client's book.
        """
        if not isinstance(self.balances, EarningBalances):
            raise TypeError(f"{self.book} holds no earnings")
        return self.balances


def opening_balances(book: Book) -> CreditBalances | EarningBalances:
    """The balances of a book in which nothing is written yet."""
    return CreditBalances() if book.currency is Currency.CREDIT else EarningBalances()
