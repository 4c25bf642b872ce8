"""What clients pay, whoever takes the money: the protocol and its values. Errors are those of `payments`.

Amounts are USD cents unless a value names another `currency`. Every call that creates takes an idempotency key from
the business act, and what it makes carries metadata to find it by.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

CLIENT_ID = "client_id"
"""Metadata of everything that is made for a client."""
PACK = "pack"
"""Metadata of the payment that buys a pack."""

REFUNDED = frozenset({"pending", "requires_action", "succeeded"})
"""Statuses of refunds whose money is gone, or going."""

ANSWERABLE = frozenset({"needs_response", "warning_needs_response"})
"""Statuses of disputes that evidence is taken for."""


def takes_money(dispute_status: str) -> bool:
    """Whether a dispute that stands so has the money: an inquiry takes none, and a won one gives it back."""
    return not dispute_status.startswith("warning_") and dispute_status not in {"won", "prevented"}


@dataclass(frozen=True)
class Price:
    """What a tier or a pack costs, as Stripe knows it; `credits` (hundredths) are what was promised at that price."""

    id: str
    lookup_key: str
    unit_cents: int
    currency: str
    credits: int
    tier: str | None = None
    pack: str | None = None


@dataclass(frozen=True)
class PriceWanted:
    """A price that is to be there. `monthly` prices renew; the others are paid once."""

    lookup_key: str
    product_name: str
    unit_cents: int
    monthly: bool
    metadata: dict[str, str]


@dataclass(frozen=True)
class CheckoutSession:
    """A page that a client can pay on; `url` is None once it is paid or over."""

    id: str
    url: str | None
    status: str
    expires_at: datetime


@dataclass(frozen=True)
class BilledSubscription:
    """A subscription as Stripe has it now. `status` is Stripe's word."""

    id: str
    customer_id: str
    status: str
    item_id: str
    price_id: str
    period_start: datetime
    period_end: datetime
    cancel_at_period_end: bool
    ended_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class InvoiceLine:
    """One line: the whole period's price, or the part of one that a change credits (negative) or charges."""

    price_id: str | None
    amount: int
    proration: bool
    period_start: datetime
    period_end: datetime
    quantity: int = 1


@dataclass(frozen=True)
class Invoice:
    """An invoice as Stripe has it now. `reason` is Stripe's `billing_reason`."""

    id: str
    customer_id: str
    subscription_id: str | None
    status: str
    reason: str
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    attempted: bool
    created_at: datetime
    lines: tuple[InvoiceLine, ...]
    number: str | None = None
    paid_at: datetime | None = None
    next_attempt_at: datetime | None = None
    page_url: str | None = None
    pdf_url: str | None = None


@dataclass(frozen=True)
class Payment:
    """A payment intent of a client, for a pack if its metadata names one."""

    id: str
    customer_id: str | None
    status: str
    currency: str
    amount_received: int
    created_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Charge:
    """Money taken; `disputed` and `amount_refunded` say whether to look for its way back."""

    id: str
    payment_id: str | None
    amount: int
    amount_refunded: int
    disputed: bool
    currency: str
    created_at: datetime
    receipt_url: str | None = None


@dataclass(frozen=True)
class Refund:
    """Money given back. `status`: pending, requires_action, succeeded, failed or canceled."""

    id: str
    amount: int
    status: str
    created_at: datetime
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ChargeDispute:
    """A charge taken back by the client's bank. `status` is Stripe's word; inquiries begin with `warning_`.

    Evidence is taken until `due_at`, None once there is no more to say. `evidence` is what was given so far.
    """

    id: str
    amount: int
    status: str
    reason: str
    charge_id: str
    payment_id: str | None
    created_at: datetime
    due_at: datetime | None = None
    submissions: int = 0
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MoneyBack:
    """A refund or a dispute, whosever payment it is of. `is_gone`: the client, or the bank, has the money."""

    id: str
    payment_id: str | None
    amount: int
    is_gone: bool
    created_at: datetime


@dataclass(frozen=True)
class EventSeen:
    """An event of Stripe's own list: its id and type, and the ids that say whom it concerns."""

    id: str
    type: str
    created_at: datetime
    object: dict[str, object] = field(repr=False)
    account: str | None = None


@dataclass(frozen=True)
class EventPage:
    """Some events, newest first, and whether older ones follow."""

    events: tuple[EventSeen, ...]
    has_more: bool


class BillingGateway(Protocol):
    """What the platform asks of Stripe about clients. Every method may raise a `payments.PaymentError`."""

    async def find_customer(self, client_id: str, email: str) -> str | None: ...

    async def create_customer(self, client_id: str, email: str, *, idempotency_key: str) -> str: ...

    async def ensure_price(self, wanted: PriceWanted) -> Price: ...

    async def retrieve_price(self, price_id: str) -> Price: ...

    async def create_checkout(
        self,
        customer_id: str,
        client_id: str,
        price: Price,
        *,
        success_url: str,
        cancel_url: str,
        idempotency_key: str,
    ) -> CheckoutSession: ...

    async def open_checkouts(self, customer_id: str, *, subscribing: bool) -> list[CheckoutSession]: ...

    async def expire_checkout(self, session_id: str) -> None: ...

    async def create_portal_link(self, customer_id: str, *, return_url: str) -> str: ...

    async def list_subscriptions(self, customer_id: str) -> list[BilledSubscription]: ...

    async def change_price(
        self, subscription: BilledSubscription, price: Price, *, at: datetime, idempotency_key: str
    ) -> BilledSubscription: ...

    async def preview_change(
        self, subscription: BilledSubscription, price: Price, *, at: datetime
    ) -> Invoice: ...

    async def set_cancel_at_period_end(
        self, subscription_id: str, *, wanted: bool, idempotency_key: str
    ) -> BilledSubscription: ...

    async def cancel_now(self, subscription_id: str, *, idempotency_key: str) -> None: ...

    async def list_invoices(self, customer_id: str) -> list[Invoice]: ...

    async def invoice_payment_id(self, invoice_id: str) -> str | None: ...

    async def list_payments(self, customer_id: str) -> list[Payment]: ...

    async def list_charges(self, customer_id: str) -> list[Charge]: ...

    async def list_refunds(self, charge_id: str) -> list[Refund]: ...

    async def list_disputes(self, charge_id: str) -> list[ChargeDispute]: ...

    async def create_refund(
        self, payment_id: str, cents: int, *, metadata: Mapping[str, str], idempotency_key: str
    ) -> Refund: ...

    async def disputes_page(
        self, *, limit: int, after: str | None = None
    ) -> tuple[list[ChargeDispute], bool]: ...

    async def retrieve_dispute(self, dispute_id: str) -> ChargeDispute: ...

    async def answer_dispute(
        self, dispute_id: str, evidence: Mapping[str, str], *, submit: bool, idempotency_key: str
    ) -> ChargeDispute: ...

    async def concede_dispute(self, dispute_id: str, *, idempotency_key: str) -> ChargeDispute: ...

    def paid_invoices_since(self, since: datetime) -> AsyncIterator[Invoice]: ...

    def payments_since(self, since: datetime) -> AsyncIterator[Payment]: ...

    def money_back_since(self, since: datetime) -> AsyncIterator[MoneyBack]: ...

    async def retrieve_invoice(self, invoice_id: str) -> Invoice: ...

    async def retrieve_payment(self, payment_id: str) -> Payment: ...

    async def client_of_customer(self, customer_id: str) -> str | None: ...

    async def customer_of_payment(self, payment_or_charge_id: str) -> str | None: ...

    async def list_events(
        self, *, since: datetime, until: datetime, after: str | None = None, account_id: str | None = None
    ) -> EventPage: ...

    async def close(self) -> None: ...
