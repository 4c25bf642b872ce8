"""Every call of Stripe's API that the platform makes, or will make for billing: in one place, in their order.

The gateway's own methods are listed by `test_stripe_mock.call_everything`; these go through the SDK.
"""

from __future__ import annotations

from typing import Any

import stripe

from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe import billing
from tests.stripe.billing import DAY, MONTH

CARD = {"cardNumber": "4242424242424242", "email": "dara@example.com", "billingName": "Dara"}


async def everything(sdk: stripe.StripeClient, control: SandboxControl, worker: str) -> None:
    """Uses each call at least once, on what the ones before it made."""
    monthly, yearly, pack = await _catalogue(sdk)
    await _buy(sdk, control, monthly, pack)
    await _subscription(sdk, monthly, yearly)
    await _money_back(sdk, control, worker)
    await _reads(sdk)


async def _catalogue(sdk: stripe.StripeClient) -> tuple[str, str, str]:
    product = await sdk.v1.products.create_async(
        {"name": "Pro", "description": "Credits each month", "metadata": {"tier": "pro"}}
    )
    await sdk.v1.products.update_async(product.id, {"name": "Professional"})
    await sdk.v1.products.retrieve_async(product.id)
    await sdk.v1.products.list_async({"active": True})
    params: Any = {
        "product": product.id,
        "currency": "usd",
        "unit_amount": 3_100,
        "metadata": {"credits": "10"},
    }
    monthly = await sdk.v1.prices.create_async(
        params | {"recurring": {"interval": "month"}, "lookup_key": "pro_monthly", "nickname": "Pro"}
    )
    yearly = await sdk.v1.prices.create_async(
        params | {"recurring": {"interval": "year"}, "unit_amount": 30_000}
    )
    pack = await sdk.v1.prices.create_async(params | {"unit_amount": 900})
    await sdk.v1.prices.update_async(pack.id, {"nickname": "Ten credits"})
    await sdk.v1.prices.retrieve_async(pack.id)
    await sdk.v1.prices.list_async({"lookup_keys": ["pro_monthly"], "active": True})
    return monthly.id, yearly.id, pack.id


async def _buy(sdk: stripe.StripeClient, control: SandboxControl, monthly: str, pack: str) -> None:
    """Checkout for a subscription and for a pack of credits, and the portal."""
    client = await sdk.v1.customers.create_async(
        {"email": "dara@example.com", "name": "Dara", "metadata": {"client": "7"}}
    )
    both: Any = {
        "customer": client.id,
        "client_reference_id": "7",
        "success_url": "https://x.example/done?session_id={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://x.example/plans",
        "metadata": {"client": "7"},
    }
    for mode, price, data in (
        ("subscription", monthly, "subscription_data"),
        ("payment", pack, "payment_intent_data"),
    ):
        session = await sdk.v1.checkout.sessions.create_async(
            both
            | {
                "mode": mode,
                "line_items": [{"price": price, "quantity": 1}],
                data: {"metadata": {"client": "7"}},
            }
        )
        await control.browse(str(session.url), CARD)
        await sdk.v1.checkout.sessions.retrieve_async(session.id)
        await sdk.v1.checkout.sessions.line_items.list_async(session.id)
    abandoned = await sdk.v1.checkout.sessions.create_async(
        both | {"mode": "payment", "line_items": [{"price": pack, "quantity": 2}]}
    )
    await sdk.v1.checkout.sessions.expire_async(abandoned.id)
    await sdk.v1.checkout.sessions.list_async({"customer": client.id})
    await sdk.v1.billing_portal.sessions.create_async(
        {"customer": client.id, "return_url": "https://x.example/account"}
    )


async def _subscription(sdk: stripe.StripeClient, monthly: str, yearly: str) -> None:
    """A life of a subscription on a test clock."""
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    await sdk.v1.customers.retrieve_async(client.id)
    await sdk.v1.customers.list_async({"email": "c@example.com"})
    made = await billing.subscribe(sdk, client.id, monthly, metadata={"client": "7"})
    await sdk.v1.subscriptions.retrieve_async(made.id, {"expand": ["latest_invoice"]})
    await sdk.v1.subscriptions.list_async({"customer": client.id, "status": "all"})
    await billing.advance(sdk, clock, MONTH + 10 * DAY)
    item = made["items"].data[0].id
    details: Any = {"items": [{"id": item, "price": yearly}], "proration_behavior": "always_invoice"}
    await sdk.v1.invoices.create_preview_async({"subscription": made.id, "subscription_details": details})
    await sdk.v1.subscriptions.update_async(made.id, details)
    await sdk.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
    await sdk.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": False})
    invoice = (await sdk.v1.invoices.list_async({"subscription": made.id})).data[0]
    await sdk.v1.invoices.retrieve_async(invoice.id)
    await sdk.v1.invoices.line_items.list_async(invoice.id)
    await sdk.v1.invoice_payments.list_async({"invoice": invoice.id})
    await sdk.v1.subscriptions.cancel_async(made.id)
    await sdk.v1.payment_methods.list_async({"customer": client.id, "type": "card"})
    await sdk.v1.customers.balance_transactions.create_async(
        client.id, {"amount": -500, "currency": "usd", "description": "Goodwill"}
    )
    await sdk.v1.customers.balance_transactions.list_async(client.id)
    await _owed_invoice(sdk, client.id)


async def _owed_invoice(sdk: stripe.StripeClient, customer: str) -> None:
    """What an admin may do with an invoice that is not paid."""
    for act in ("pay", "void_invoice", "mark_uncollectible"):
        await sdk.v1.invoice_items.create_async({"customer": customer, "amount": 1_750, "currency": "usd"})
        invoice = await sdk.v1.invoices.create_async(
            {"customer": customer, "pending_invoice_items_behavior": "include", "auto_advance": False}
        )
        await sdk.v1.invoices.finalize_invoice_async(invoice.id)
        await getattr(sdk.v1.invoices, f"{act}_async")(invoice.id)


async def _money_back(sdk: stripe.StripeClient, control: SandboxControl, worker: str) -> None:
    """Payments by themselves, refunds, disputes, reversals."""
    intent = await sdk.v1.payment_intents.create_async(
        {"amount": 2_000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    await sdk.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    await sdk.v1.payment_intents.list_async({"limit": 100})
    (charge,) = (await sdk.v1.charges.list_async({"payment_intent": intent.id})).data
    await sdk.v1.charges.retrieve_async(charge.id)
    refund = await sdk.v1.refunds.create_async(
        {
            "payment_intent": intent.id,
            "amount": 500,
            "reason": "requested_by_customer",
            "metadata": {"act": "1"},
        }
    )
    await sdk.v1.refunds.retrieve_async(refund.id)
    await sdk.v1.refunds.list_async({"payment_intent": intent.id})
    await sdk.v1.refunds.list_async({"charge": charge.id, "limit": 100})
    dispute = await control.open_dispute(intent.id)
    await sdk.v1.disputes.retrieve_async(dispute)
    await sdk.v1.disputes.list_async({"payment_intent": intent.id})
    await sdk.v1.disputes.list_async({"charge": charge.id, "limit": 20})
    await sdk.v1.disputes.list_async({"limit": 20})
    await sdk.v1.disputes.update_async(
        dispute, {"evidence": {"product_description": "Work done"}, "submit": False}
    )
    await sdk.v1.disputes.update_async(dispute, {"evidence": {}, "submit": True})
    await sdk.v1.disputes.close_async(dispute)
    transfer = await sdk.v1.transfers.create_async(
        {"amount": 5_000, "currency": "usd", "destination": worker}
    )
    await sdk.v1.transfers.reversals.create_async(transfer.id, {"amount": 1_000, "metadata": {"entry": "1"}})
    await sdk.v1.transfers.reversals.list_async(transfer.id)
    await sdk.v1.accounts.login_links.create_async(worker)


async def _reads(sdk: stripe.StripeClient) -> None:
    """What the nightly reconciliation and the webhooks' sweep read."""
    events = await sdk.v1.events.list_async({"limit": 3, "delivery_success": True, "created": {"gte": 1}})
    await sdk.v1.events.retrieve_async(events.data[0].id)
    await sdk.v1.events.list_async({"limit": 3, "created": {"gte": 1, "lte": 4_000_000_000}})
    await sdk.v1.invoices.list_async({"limit": 3, "status": "paid", "created": {"gte": 1}})
    await sdk.v1.payment_intents.list_async({"limit": 3, "created": {"gte": 1}})
    await sdk.v1.refunds.list_async({"limit": 3, "created": {"gte": 1}})
    await sdk.v1.disputes.list_async({"limit": 3, "created": {"gte": 1}})
    await sdk.v1.balance.retrieve_async()
    await sdk.v1.balance_transactions.list_async({"limit": 5})
    await sdk.v1.webhook_endpoints.create_async(
        {"url": "https://x.example/hook", "enabled_events": ["invoice.paid"], "connect": False}
    )
    await sdk.v1.webhook_endpoints.list_async()
