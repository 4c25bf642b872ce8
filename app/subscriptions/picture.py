"""All that Stripe has of one client, and what is on record of it here, as it was read at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.gateways.billing import (
    PACK,
    BilledSubscription,
    BillingGateway,
    Charge,
    ChargeDispute,
    Invoice,
    Payment,
    Price,
    Refund,
)
from app.subscriptions.billing_state import ALIVE, BillingState
from app.subscriptions.customers import Database
from app.subscriptions.models import PaidGrant

GRANTS = "paid_grants"


@dataclass(frozen=True)
class WayBack:
    """A refund or a dispute of a charge. `earlier` are the ids of those of the same charge before it."""

    charge: Charge
    cause: Refund | ChargeDispute
    earlier: tuple[str, ...]


@dataclass
class Picture:
    """What was read. `recorded` and `faults` grow while it is settled."""

    client_id: str
    subscription: BilledSubscription | None
    others: list[BilledSubscription]
    invoices: list[Invoice]
    payments: list[Payment]
    charges: list[Charge]
    prices: dict[str, Price]
    recorded: dict[str, PaidGrant]  # by Stripe's id of what was paid
    ways_back: list[WayBack] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)  # Stripe's id → what is wrong

    def paid_by(self, payment_id: str | None) -> PaidGrant | None:
        """What a payment intent bought."""
        found = (grant for grant in self.recorded.values() if payment_id and grant.payment_id == payment_id)
        return next(found, None)

    def history(self) -> list[Invoice | Payment | WayBack]:
        """What moves the books, in the order in which it happened at Stripe.

        So whoever looks late writes what those who looked in between would have written: which credits pay a debt,
        and which are there to be taken back, depends on what came first.
        """
        charged_at = {charge.payment_id: charge.created_at for charge in self.charges}
        packs = [payment for payment in self.payments if PACK in payment.metadata]
        happened: list[tuple[datetime, bool, Invoice | Payment | WayBack]] = [
            *((invoice.paid_at or invoice.created_at, False, invoice) for invoice in self.invoices),
            *((charged_at.get(pack.id, pack.created_at), False, pack) for pack in packs),
            *((back.cause.created_at, True, back) for back in self.ways_back),
        ]
        # In the same second, what is given comes before what is taken back of it.
        return [one for _, _, one in sorted(happened, key=lambda each: each[:2])]


async def look(database: Database, gateway: BillingGateway, client_id: str, customer_id: str) -> Picture:
    """Read everything.

    Raises:
        app.gateways.payments.PaymentError: Stripe cannot be reached; repeat.
    """
    subscriptions = await gateway.list_subscriptions(customer_id)
    alive = [one for one in subscriptions if one.status in ALIVE]
    current = alive[0] if alive else subscriptions[-1] if subscriptions else None
    invoices = await gateway.list_invoices(customer_id)
    used = {line.price_id for invoice in invoices for line in invoice.lines if line.price_id}
    if current is not None:
        used.add(current.price_id)
    payments = await gateway.list_payments(customer_id)
    bought = [invoice.id for invoice in invoices] + [one.id for one in payments if PACK in one.metadata]
    picture = Picture(
        client_id=client_id,
        subscription=current,
        others=alive[1:],
        invoices=invoices,
        payments=payments,
        charges=await gateway.list_charges(customer_id),
        prices={price_id: await gateway.retrieve_price(price_id) for price_id in sorted(used)},
        recorded=await _recorded(database, bought),
    )
    for charge in picture.charges:
        known = picture.paid_by(charge.payment_id)
        if charge.disputed or charge.amount_refunded or (known is not None and known.taken_back):
            picture.ways_back += await _ways_back(gateway, charge)
    for other in picture.others:
        picture.faults[other.id] = "a second subscription of the same client"
    return picture


async def _recorded(database: Database, paid_ids: list[str]) -> dict[str, PaidGrant]:
    rows = await database[GRANTS].find({"_id": {"$in": paid_ids}}).to_list()
    return {row["_id"]: PaidGrant.model_validate(row) for row in rows}


async def _ways_back(gateway: BillingGateway, charge: Charge) -> list[WayBack]:
    causes: list[Refund | ChargeDispute] = [
        *await gateway.list_refunds(charge.id),
        *await gateway.list_disputes(charge.id),
    ]
    causes.sort(key=lambda cause: cause.created_at)
    ids = [cause.id for cause in causes]
    return [WayBack(charge, cause, tuple(ids[:number])) for number, cause in enumerate(causes)]


def billing_state(picture: Picture, customer_id: str, *, debt: int) -> BillingState:
    """What there is to know of the client's billing. `debt` is the book's."""
    now = picture.subscription
    state = BillingState(
        client_id=picture.client_id,
        customer_id=customer_id,
        debt=debt,
        faults=[f"{stripe_id}: {reason}" for stripe_id, reason in picture.faults.items()],
    )
    if now is None:
        return state
    owed = [
        invoice
        for invoice in picture.invoices
        if invoice.subscription_id == now.id and invoice.status == "open" and invoice.attempted
    ]
    return state.model_copy(
        update={
            "subscription_id": now.id,
            "status": now.status,
            "tier": picture.prices[now.price_id].tier,
            "period_end": now.period_end,
            "cancel_at_period_end": now.cancel_at_period_end,
            "owed_invoice_id": owed[0].id if owed else None,
            "owed_cents": sum(invoice.amount_due for invoice in owed),
        }
    )
