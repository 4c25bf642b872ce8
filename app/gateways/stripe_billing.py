"""Stripe Billing: customers, prices, checkout, subscriptions, invoices. The money that goes back is beside it."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

import stripe

from app.gateways.billing import (
    CLIENT_ID,
    PACK,
    BilledSubscription,
    CheckoutSession,
    EventSeen,
    Invoice,
    InvoiceLine,
    Payment,
    Price,
    PriceWanted,
)
from app.gateways.payments import InvalidPaymentRequest
from app.gateways.stripe_client import CURRENCY, every, id_of, instant, metadata_of, translated
from app.gateways.stripe_money_back import StripeMoneyBack

_PAGE = 100


class StripeBilling(StripeMoneyBack):
    """`BillingGateway` over Stripe's own SDK."""

    @cached_property
    def _prices(self) -> dict[str, Price]:
        """Those seen before: what a price promises never changes."""
        return {}

    # -- customers

    async def find_customer(self, client_id: str, email: str) -> str | None:
        """The first customer made for this client, or None."""
        found = None
        params: Any = {"email": email, "limit": _PAGE}
        async for customer in every(self._stripe.v1.customers.list_async(params)):
            if metadata_of(customer.metadata).get(CLIENT_ID) == client_id:
                found = customer.id
        return found

    async def create_customer(self, client_id: str, email: str, *, idempotency_key: str) -> str:
        customer = await translated(
            self._stripe.v1.customers.create_async(
                {"email": email, "metadata": {CLIENT_ID: client_id}}, {"idempotency_key": idempotency_key}
            )
        )
        return customer.id

    async def client_of_customer(self, customer_id: str) -> str | None:
        """The client that a customer was made for; None if it is none of ours."""
        try:
            customer = await translated(self._stripe.v1.customers.retrieve_async(customer_id))
        except InvalidPaymentRequest:
            return None
        return metadata_of(getattr(customer, "metadata", None)).get(CLIENT_ID)

    async def customer_of_payment(self, payment_or_charge_id: str) -> str | None:
        """Who paid; None if nobody known did."""
        resource: Any = (
            self._stripe.v1.payment_intents
            if payment_or_charge_id.startswith("pi_")
            else self._stripe.v1.charges
        )
        try:
            found = await translated(resource.retrieve_async(payment_or_charge_id))
        except InvalidPaymentRequest:
            return None
        return id_of(found.customer)

    # -- prices

    async def ensure_price(self, wanted: PriceWanted) -> Price:
        """The price of that look-up key, made if it is not there. Repeatable, also by several at once.

        Raises:
            InvalidPaymentRequest: Stripe has a price of that key with another amount.
        """
        known = self._prices.get(wanted.lookup_key)
        if known is not None:
            return known
        params: Any = {"lookup_keys": [wanted.lookup_key], "limit": 1}
        found = await translated(self._stripe.v1.prices.list_async(params))
        price = _price(found.data[0]) if found.data else await self._make_price(wanted)
        if (price.unit_cents, price.currency) != (wanted.unit_cents, CURRENCY):
            raise InvalidPaymentRequest(f"the price {wanted.lookup_key} has another amount at Stripe")
        self._prices[wanted.lookup_key] = price
        return price

    async def _make_price(self, wanted: PriceWanted) -> Price:
        """With a product of its own: the price is what is sold."""
        params: Any = {
            "product_data": {"name": wanted.product_name, "metadata": wanted.metadata},
            "currency": CURRENCY,
            "unit_amount": wanted.unit_cents,
            "lookup_key": wanted.lookup_key,
            "nickname": wanted.product_name,
            "metadata": wanted.metadata,
            **({"recurring": {"interval": "month"}} if wanted.monthly else {}),
        }
        options: stripe.RequestOptions = {"idempotency_key": f"price:{wanted.lookup_key}"}
        return _price(await translated(self._stripe.v1.prices.create_async(params, options)))

    async def retrieve_price(self, price_id: str) -> Price:
        """A price by its id, asked for once."""
        if price_id not in self._prices:
            self._prices[price_id] = _price(await translated(self._stripe.v1.prices.retrieve_async(price_id)))
        return self._prices[price_id]

    # -- checkout and portal

    async def create_checkout(
        self,
        customer_id: str,
        client_id: str,
        price: Price,
        *,
        success_url: str,
        cancel_url: str,
        idempotency_key: str,
    ) -> CheckoutSession:
        """A page on which the client pays a tier's first period, or a pack."""
        metadata = {CLIENT_ID: client_id, **({PACK: price.pack} if price.pack else {})}
        what = "payment_intent_data" if price.pack else "subscription_data"
        params: Any = {
            "mode": "payment" if price.pack else "subscription",
            "customer": customer_id,
            "client_reference_id": client_id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": success_url,
            "cancel_url": cancel_url,
            "metadata": metadata,
            what: {"metadata": metadata},
        }
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        return _session(await translated(self._stripe.v1.checkout.sessions.create_async(params, options)))

    async def open_checkouts(self, customer_id: str, *, subscribing: bool) -> list[CheckoutSession]:
        """The pages that the client could still pay on, for a subscription or for packs."""
        mode = "subscription" if subscribing else "payment"
        params: Any = {"customer": customer_id, "status": "open", "limit": _PAGE}
        pages = every(self._stripe.v1.checkout.sessions.list_async(params))
        return [_session(session) async for session in pages if session.mode == mode]

    async def expire_checkout(self, session_id: str) -> None:
        await translated(self._stripe.v1.checkout.sessions.expire_async(session_id))

    async def create_portal_link(self, customer_id: str, *, return_url: str) -> str:
        """The address of Stripe's customer portal, where cards are changed. It works for a short time."""
        session = await translated(
            self._stripe.v1.billing_portal.sessions.create_async(
                {"customer": customer_id, "return_url": return_url}
            )
        )
        return session.url

    # -- subscriptions

    async def list_subscriptions(self, customer_id: str) -> list[BilledSubscription]:
        """All of a customer's, ended ones included, oldest first."""
        params: Any = {"customer": customer_id, "status": "all", "limit": _PAGE}
        found = [_subscription(one) async for one in every(self._stripe.v1.subscriptions.list_async(params))]
        return found[::-1]

    async def change_price(
        self, subscription: BilledSubscription, price: Price, *, at: datetime, idempotency_key: str
    ) -> BilledSubscription:
        """Move to another price now; what differs for the rest of the period is invoiced at once.

        Raises:
            InvalidPaymentRequest: also when the client's card is declined; nothing is changed then.
        """
        params: Any = {
            **_change(subscription, price, at),
            "payment_behavior": "error_if_incomplete",
        }
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        return _subscription(
            await translated(self._stripe.v1.subscriptions.update_async(subscription.id, params, options))
        )

    async def preview_change(
        self, subscription: BilledSubscription, price: Price, *, at: datetime
    ) -> Invoice:
        """The invoice that `change_price` would make."""
        params: Any = {
            "subscription": subscription.id,
            "subscription_details": _change(subscription, price, at),
        }
        return _invoice(await translated(self._stripe.v1.invoices.create_preview_async(params)))

    async def set_cancel_at_period_end(
        self, subscription_id: str, *, wanted: bool, idempotency_key: str
    ) -> BilledSubscription:
        return _subscription(
            await translated(
                self._stripe.v1.subscriptions.update_async(
                    subscription_id,
                    {"cancel_at_period_end": wanted},
                    {"idempotency_key": idempotency_key},
                )
            )
        )

    async def cancel_now(self, subscription_id: str, *, idempotency_key: str) -> None:
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        await translated(self._stripe.v1.subscriptions.cancel_async(subscription_id, {}, options))

    # -- what was billed and paid

    async def list_invoices(self, customer_id: str) -> list[Invoice]:
        """All of a customer's, oldest first."""
        params: Any = {"customer": customer_id, "limit": _PAGE}
        return [_invoice(one) async for one in every(self._stripe.v1.invoices.list_async(params))][::-1]

    async def invoice_payment_id(self, invoice_id: str) -> str | None:
        """The payment intent that paid an invoice; None if its client's balance did."""
        params: Any = {"invoice": invoice_id, "limit": _PAGE}
        async for one in every(self._stripe.v1.invoice_payments.list_async(params)):
            if one.status == "paid":
                return id_of(one.payment.payment_intent)
        return None

    async def list_payments(self, customer_id: str) -> list[Payment]:
        """All of a customer's payment intents, oldest first."""
        params: Any = {"customer": customer_id, "limit": _PAGE}
        return [_payment(one) async for one in every(self._stripe.v1.payment_intents.list_async(params))][
            ::-1
        ]

    async def undelivered_events(self, *, since: datetime) -> list[EventSeen]:
        """Events that no endpoint of ours has taken, oldest first; Stripe keeps them for 30 days."""
        params: Any = {
            "delivery_success": False,
            "created": {"gte": int(since.timestamp())},
            "limit": _PAGE,
        }
        found = [one async for one in every(self._stripe.v1.events.list_async(params))]
        return [
            EventSeen(
                id=one.id,
                type=one.type,
                created_at=instant(one.created),
                object=one.data.object.to_dict(),
                account=one.account,
            )
            for one in reversed(found)
        ]


def _change(subscription: BilledSubscription, price: Price, at: datetime) -> dict[str, Any]:
    return {
        "items": [{"id": subscription.item_id, "price": price.id}],
        "proration_behavior": "always_invoice",
        "proration_date": int(at.timestamp()),
    }


def _maybe(seconds: int | None) -> datetime | None:
    return None if seconds is None else instant(seconds)


def _price(price: stripe.Price) -> Price:
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


def _session(session: stripe.checkout.Session) -> CheckoutSession:
    return CheckoutSession(
        id=session.id,
        url=session.url,
        status=session.status or "open",
        expires_at=instant(session.expires_at),
    )


def _subscription(subscription: stripe.Subscription) -> BilledSubscription:
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


def _invoice(invoice: stripe.Invoice) -> Invoice:
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


def _payment(intent: stripe.PaymentIntent) -> Payment:
    return Payment(
        id=intent.id,
        customer_id=id_of(intent.customer),
        status=intent.status,
        currency=intent.currency,
        amount_received=intent.amount_received,
        created_at=instant(intent.created),
        metadata=metadata_of(intent.metadata),
    )
