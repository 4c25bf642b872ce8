"""What can be asked of the journal. A draft is the act alone: no clock, no balance, no place in the book.

The body hash covers all of a draft but its key, and leaves out fields at their default. A field added later
therefore must have a default, and then keys written before it still match their bodies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator

from app.documents import CamelModel
from app.money.books import Book, client_book, worker_book
from app.money.errors import InvalidDraft
from app.money.hashing import digest
from app.money.models import Ending, Instant, Kind

MAX_AMOUNT = 10**12  # ten billion credits or dollars: above any real amount, far below what BSON holds

Amount = Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]
Part = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)]
Reference = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Key = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9:_.-]{0,199}$")]
Source = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
Reason = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1_000)]


class Original(NamedTuple):
    """A transaction as a draft names it: by its key, or by its id."""

    field: Literal["key", "_id"]
    value: str


class _Draft(CamelModel, ABC):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Key

    @property
    @abstractmethod
    def book(self) -> Book:
        """The book that it is written in."""

    @property
    def corrects(self) -> Original | None:
        """The transaction that this one corrects, if it is a correction."""
        return None

    @property
    def body_hash(self) -> str:
        """What a repeat of the key is compared by."""
        body = self.model_dump(by_alias=True, exclude={"key"}, exclude_defaults=True)
        return digest({**body, "kind": self.model_dump()["kind"]})


class GrantCredits(_Draft):
    """A new lot of credits, in hundredths of a credit; it can be spent until `expires_at`.

    `paid_cents` is what the client paid for it, in USD cents; `actor_id` and `reason` are an admin's who gave it.
    """

    kind: Literal[Kind.CREDIT_GRANT] = Kind.CREDIT_GRANT
    client_id: Reference
    amount: Amount
    source: Source
    expires_at: Instant | None = None
    subscription_id: Reference | None = None
    stripe_payment_intent_id: Reference | None = None
    paid_cents: Amount | None = None
    reason: Reason | None = None
    actor_id: Reference | None = None

    @property
    def book(self) -> Book:
        return client_book(self.client_id)


class HoldCredits(_Draft):
    """Credits set aside for a job. The draft's key names the hold."""

    kind: Literal[Kind.CREDIT_HOLD] = Kind.CREDIT_HOLD
    client_id: Reference
    job_id: Reference
    amount: Amount

    @property
    def book(self) -> Book:
        return client_book(self.client_id)


class ResolveHold(_Draft):
    """The end of a hold: post so much, release so much, hold again so much (under this draft's own key).

    With an `ending` it is the whole hold that is released, and no amounts are given.
    """

    kind: Literal[Kind.HOLD_RESOLUTION] = Kind.HOLD_RESOLUTION
    client_id: Reference
    hold_key: Key
    post: Part
    release: Part
    hold_again: Part = 0
    ending: Ending | None = None

    @model_validator(mode="after")
    def _something_leaves_the_hold(self) -> Self:
        if self.ending is None and self.post + self.release == 0:
            raise ValueError("a resolution posts or releases something")
        if self.ending is not None and self.post + self.release + self.hold_again:
            raise ValueError("a hold that is void or expired is released whole")
        return self

    @property
    def book(self) -> Book:
        return client_book(self.client_id)


class RefundCredits(_Draft):
    """Spent credits given back, up to what the resolution under `spent_key` spent, over all its refunds together.

    They return to the lots that paid; what has expired meanwhile becomes a lot that expires at `expires_at`.
    """

    kind: Literal[Kind.CREDIT_REFUND] = Kind.CREDIT_REFUND
    client_id: Reference
    spent_key: Key
    amount: Amount
    reason: Reason
    expires_at: Instant | None = None

    @property
    def book(self) -> Book:
        return client_book(self.client_id)

    @property
    def corrects(self) -> Original | None:
        return Original("key", self.spent_key)


class ExpireLot(_Draft):
    """Whatever is left of an expired lot goes to breakage. How much that is, is known when it is written."""

    kind: Literal[Kind.CREDIT_EXPIRY] = Kind.CREDIT_EXPIRY
    client_id: Reference
    lot_id: Key

    @property
    def book(self) -> Book:
        return client_book(self.client_id)

    @property
    def corrects(self) -> Original | None:
        return Original("_id", self.lot_id)


class ClawBackCredits(_Draft):
    """Credits of the grant under `grant_key` taken back because their payment was, up to what is left to take back.

    First those of its lot that are available; the rest becomes a debt. `returned_cents` is what the client got back.
    """

    kind: Literal[Kind.CREDIT_CLAWBACK] = Kind.CREDIT_CLAWBACK
    client_id: Reference
    grant_key: Key
    amount: Amount
    reason: Reason
    returned_cents: Amount | None = None
    stripe_refund_id: Reference | None = None

    @property
    def book(self) -> Book:
        return client_book(self.client_id)

    @property
    def corrects(self) -> Original | None:
        return Original("key", self.grant_key)


class AccrueEarnings(_Draft):
    """What a worker earned by a job, in USD cents."""

    kind: Literal[Kind.WORKER_ACCRUAL] = Kind.WORKER_ACCRUAL
    worker_id: Reference
    job_id: Reference
    amount: Amount

    @property
    def book(self) -> Book:
        return worker_book(self.worker_id)


class RecordTransfer(_Draft):
    """A transfer that Stripe made to the worker's connected account, in USD cents."""

    kind: Literal[Kind.WORKER_TRANSFER] = Kind.WORKER_TRANSFER
    worker_id: Reference
    job_id: Reference
    amount: Amount
    stripe_transfer_id: Reference

    @property
    def book(self) -> Book:
        return worker_book(self.worker_id)


class ReverseEarnings(_Draft):
    """Pay of the accrual under `accrual_key` taken back, in USD cents; what is not payable becomes a debt."""

    kind: Literal[Kind.EARNING_REVERSAL] = Kind.EARNING_REVERSAL
    worker_id: Reference
    job_id: Reference
    accrual_key: Key
    amount: Amount
    reason: Reason

    @property
    def book(self) -> Book:
        return worker_book(self.worker_id)

    @property
    def corrects(self) -> Original | None:
        return Original("key", self.accrual_key)


class RecordTransferReversal(_Draft):
    """Money of the transfer under `transfer_key` that Stripe gave back, in USD cents: it is payable again."""

    kind: Literal[Kind.TRANSFER_REVERSAL] = Kind.TRANSFER_REVERSAL
    worker_id: Reference
    job_id: Reference
    transfer_key: Key
    amount: Amount
    stripe_reversal_id: Reference
    reason: Reason | None = None

    @property
    def book(self) -> Book:
        return worker_book(self.worker_id)

    @property
    def corrects(self) -> Original | None:
        return Original("key", self.transfer_key)


CreditDraft = GrantCredits | HoldCredits | ResolveHold | RefundCredits | ExpireLot | ClawBackCredits
EarningDraft = AccrueEarnings | RecordTransfer | ReverseEarnings | RecordTransferReversal
Draft = CreditDraft | EarningDraft

DraftT = TypeVar("DraftT", bound=_Draft)


def draft(kind: type[DraftT], **fields: Any) -> DraftT:
    """A checked draft.

    Raises:
        InvalidDraft: an amount is not a positive integer within bounds, or an id or key is malformed.
    """
    try:
        return kind.model_validate(fields, by_name=True)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'draft'}: {e['msg']}" for e in error.errors())
        raise InvalidDraft(faults) from error
