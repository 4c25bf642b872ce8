"""Stripe Billing: customers, prices, checkout, subscriptions, invoices. The money that goes back is beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from functools import cached_property
from typing import Any

import stripe

from app.gateways.billing import (
    CLIENT_ID,
    PACK,
    REFUNDED,
    BilledSubscription,
    CheckoutSession,
    EventPage,
    Invoice,
    MoneyBack,
    Payment,
    Price,
    PriceWanted,
    takes_money,
)
from app.gateways.payments import InvalidPaymentRequest
from app.gateways.saved_failures import past_saved_failures
from app.gateways.stripe_client import CURRENCY, every, id_of, metadata_of, translated
from app.gateways.stripe_money_back import StripeMoneyBack
from app.gateways.stripe_values import (
    event_of,
    invoice_of,
    money_back_of,
    payment_of,
    price_of,
    session_of,
    subscription_of,
)

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
        price = await self._find_price(wanted.lookup_key)
        if price is None:
            price = await past_saved_failures(
                f"price:{wanted.lookup_key}",
                lambda key: self._make_price(wanted, key),
                lambda: self._find_price(wanted.lookup_key),
            )
        if (price.unit_cents, price.currency) != (wanted.unit_cents, CURRENCY):
            raise InvalidPaymentRequest(f"the price {wanted.lookup_key} has another amount at Stripe")
        self._prices[wanted.lookup_key] = price
        return price

    async def _find_price(self, lookup_key: str) -> Price | None:
        params: Any = {"lookup_keys": [lookup_key], "limit": 1}
        found = await translated(self._stripe.v1.prices.list_async(params))
        return price_of(found.data[0]) if found.data else None

    async def _make_price(self, wanted: PriceWanted, idempotency_key: str) -> Price:
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
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        return price_of(await translated(self._stripe.v1.prices.create_async(params, options)))

    async def retrieve_price(self, price_id: str) -> Price:
        """A price by its id, asked for once."""
        if price_id not in self._prices:
            self._prices[price_id] = price_of(
                await translated(self._stripe.v1.prices.retrieve_async(price_id))
            )
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
        return session_of(await translated(self._stripe.v1.checkout.sessions.create_async(params, options)))

    async def open_checkouts(self, customer_id: str, *, subscribing: bool) -> list[CheckoutSession]:
        """The pages that the client could still pay on, for a subscription or for packs."""
        mode = "subscription" if subscribing else "payment"
        params: Any = {"customer": customer_id, "status": "open", "limit": _PAGE}
        pages = every(self._stripe.v1.checkout.sessions.list_async(params))
        return [session_of(session) async for session in pages if session.mode == mode]

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
        found = [
            subscription_of(one) async for one in every(self._stripe.v1.subscriptions.list_async(params))
        ]
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
        return subscription_of(
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
        return invoice_of(await translated(self._stripe.v1.invoices.create_preview_async(params)))

    async def set_cancel_at_period_end(
        self, subscription_id: str, *, wanted: bool, idempotency_key: str
    ) -> BilledSubscription:
        return subscription_of(
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
        return [invoice_of(one) async for one in every(self._stripe.v1.invoices.list_async(params))][::-1]

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
        return [payment_of(one) async for one in every(self._stripe.v1.payment_intents.list_async(params))][
            ::-1
        ]

    # -- of all customers, newest first, for the night

    async def paid_invoices_since(self, since: datetime) -> AsyncIterator[Invoice]:
        """Every invoice made since then that is paid."""
        params: Any = {**_since(since), "status": "paid"}
        async for one in every(self._stripe.v1.invoices.list_async(params)):
            yield invoice_of(one)

    async def payments_since(self, since: datetime) -> AsyncIterator[Payment]:
        """Every payment intent made since then, whatever became of it."""
        async for one in every(self._stripe.v1.payment_intents.list_async(_since(since))):
            yield payment_of(one)

    async def money_back_since(self, since: datetime) -> AsyncIterator[MoneyBack]:
        """Every refund, and then every dispute, made since then."""
        async for refund in every(self._stripe.v1.refunds.list_async(_since(since))):
            yield money_back_of(refund, is_gone=refund.status in REFUNDED)
        async for dispute in every(self._stripe.v1.disputes.list_async(_since(since))):
            yield money_back_of(dispute, is_gone=takes_money(dispute.status))

    async def retrieve_invoice(self, invoice_id: str) -> Invoice:
        return invoice_of(await translated(self._stripe.v1.invoices.retrieve_async(invoice_id)))

    async def retrieve_payment(self, payment_id: str) -> Payment:
        return payment_of(await translated(self._stripe.v1.payment_intents.retrieve_async(payment_id)))

    async def list_events(
        self, *, since: datetime, until: datetime, after: str | None = None, account_id: str | None = None
    ) -> EventPage:
        """A page of the events between two moments (both included), newest first; Stripe forgets them after 30 days.

        They are the platform's own, or a connected account's. `after` is the last event of the page before.

        Raises:
            InvalidPaymentRequest: also when Stripe does not know `after` any more.
            AccountCannotReceive: the connected account is none of ours, or has left.
        """
        params: Any = {
            "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
            "limit": _PAGE,
            **({} if after is None else {"starting_after": after}),
        }
        options: stripe.RequestOptions = {} if account_id is None else {"stripe_account": account_id}
        found = await translated(self._stripe.v1.events.list_async(params, options))
        events = tuple(event_of(one, account_id) for one in found.data)
        return EventPage(events=events, has_more=found.has_more)


def _since(moment: datetime) -> Any:
    return {"created": {"gte": int(moment.timestamp())}, "limit": _PAGE}


def _change(subscription: BilledSubscription, price: Price, at: datetime) -> dict[str, Any]:
    return {
        "items": [{"id": subscription.item_id, "price": price.id}],
        "proration_behavior": "always_invoice",
        "proration_date": int(at.timestamp()),
    }
