"""From Stripe's objects, as its SDK gives them, to the values of `app.gateways.billing`."""

from __future__ import annotations

from datetime import datetime

import stripe

from app.gateways.billing import (
    PACK,
    BilledSubscription,
    CheckoutSession,
    EventSeen,
    Invoice,
    InvoiceLine,
    MoneyBack,
    Payment,
    Price,
)
from app.gateways.stripe_client import id_of, instant, metadata_of


def event_of(event: stripe.Event, account_id: str | None) -> EventSeen:
    """An event of the platform's own list, or of that of a connected account, which its events need not name."""
    return EventSeen(
        id=event.id,
        type=event.type,
        created_at=instant(event.created),
        object=event.data.object.to_dict(),
        account=account_id,
    )


def _maybe(seconds: int | None) -> datetime | None:
    return None if seconds is None else instant(seconds)


def price_of(price: stripe.Price) -> Price:
    """A price with what its metadata promises."""
    metadata = metadata_of(price.metadata)
    credits_ = metadata.get("credits", "")
    return Price(
        id=price.id,
        lookup_key=price.lookup_key or "",
        unit_cents=price.unit_amount or 0,
        currency=price.currency,
        credits=int(credits_) if credits_.isdigit() else 0,
        tier=metadata.get("tier"),
        pack=metadata.get(PACK),
    )


def session_of(session: stripe.checkout.Session) -> CheckoutSession:
    """A checkout session."""
    return CheckoutSession(
        id=session.id,
        url=session.url,
        status=session.status or "open",
        expires_at=instant(session.expires_at),
    )


def subscription_of(subscription: stripe.Subscription) -> BilledSubscription:
    """A subscription with its one item."""
    item = subscription["items"].data[0]
    return BilledSubscription(
        id=subscription.id,
        customer_id=id_of(subscription.customer) or "",
        status=subscription.status,
        item_id=item.id,
        price_id=item.price.id,
        period_start=instant(item.current_period_start),
        period_end=instant(item.current_period_end),
        cancel_at_period_end=subscription.cancel_at_period_end,
        ended_at=_maybe(subscription.ended_at),
        created_at=instant(subscription.created),
    )


def invoice_of(invoice: stripe.Invoice) -> Invoice:
    """An invoice with its lines."""
    details = invoice.parent.subscription_details if invoice.parent else None
    return Invoice(
        id=getattr(invoice, "id", "") or "",
        customer_id=id_of(invoice.customer) or "",
        subscription_id=id_of(details.subscription) if details else None,
        status=invoice.status or "draft",
        reason=invoice.billing_reason or "manual",
        currency=invoice.currency,
        total=invoice.total,
        amount_due=invoice.amount_due,
        amount_paid=invoice.amount_paid,
        attempted=invoice.attempted,
        created_at=instant(invoice.created),
        lines=tuple(_line(line) for line in invoice.lines.data),
        number=invoice.number,
        paid_at=_maybe(invoice.status_transitions.paid_at),
        next_attempt_at=_maybe(invoice.next_payment_attempt),
        page_url=invoice.hosted_invoice_url,
        pdf_url=invoice.invoice_pdf,
    )


def _line(line: stripe.InvoiceLineItem) -> InvoiceLine:
    pricing = line.pricing.price_details if line.pricing else None
    item = line.parent.subscription_item_details if line.parent else None
    return InvoiceLine(
        price_id=id_of(pricing.price) if pricing else None,
        amount=line.amount,
        proration=item is not None and item.proration,
        period_start=instant(line.period.start),
        period_end=instant(line.period.end),
        quantity=line.quantity or 1,
    )


def payment_of(intent: stripe.PaymentIntent) -> Payment:
    """A payment intent."""
    return Payment(
        id=intent.id,
        customer_id=id_of(intent.customer),
        status=intent.status,
        currency=intent.currency,
        amount_received=intent.amount_received,
        created_at=instant(intent.created),
        metadata=metadata_of(intent.metadata),
    )


def money_back_of(found: stripe.Refund | stripe.Dispute, *, is_gone: bool) -> MoneyBack:
    """A refund or a dispute."""
    return MoneyBack(
        id=found.id,
        payment_id=id_of(found.payment_intent),
        amount=found.amount,
        is_gone=is_gone,
        created_at=instant(found.created),
    )
