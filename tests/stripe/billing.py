"""What the tests of payments and billing begin with: a customer with a card, prices, a test clock."""

from __future__ import annotations

from typing import Any

import stripe

MONTH = 1_767_225_600  # 1 January 2026, 00:00 UTC
DAY = 86_400


async def price(
    sdk: stripe.StripeClient, cents: int, *, name: str = "Pro", interval: Any = "month"
) -> stripe.Price:
    return await sdk.v1.prices.create_async(
        {
            "currency": "usd",
            "unit_amount": cents,
            "nickname": name,
            "product_data": {"name": name},
            "recurring": {"interval": interval},
        }
    )


async def customer(
    sdk: stripe.StripeClient, card: str = "pm_card_visa", *, clock: str | None = None
) -> stripe.Customer:
    params: Any = {"email": "c@example.com", **({"test_clock": clock} if clock else {})}
    made = await sdk.v1.customers.create_async(params)
    await use_card(sdk, made.id, card)
    return made


async def use_card(sdk: stripe.StripeClient, customer_id: str, card: str) -> str:
    """Attaches a test card and makes it the customer's default."""
    method = await sdk.v1.payment_methods.attach_async(card, {"customer": customer_id})
    await sdk.v1.customers.update_async(
        customer_id, {"invoice_settings": {"default_payment_method": method.id}}
    )
    return method.id


async def clock(sdk: stripe.StripeClient, at: int = MONTH) -> str:
    return (await sdk.v1.test_helpers.test_clocks.create_async({"frozen_time": at})).id


async def advance(sdk: stripe.StripeClient, clock_id: str, to: int) -> None:
    """Moves a test clock and waits until all that lies between has happened."""
    moved = await sdk.v1.test_helpers.test_clocks.advance_async(clock_id, {"frozen_time": to})
    while moved.status != "ready":
        moved = await sdk.v1.test_helpers.test_clocks.retrieve_async(clock_id)


async def subscribe(
    sdk: stripe.StripeClient, customer_id: str, price_id: str, **more: Any
) -> stripe.Subscription:
    params: Any = {"customer": customer_id, "items": [{"price": price_id}], **more}
    return await sdk.v1.subscriptions.create_async(params)


async def event_types(sdk: stripe.StripeClient, *, without: tuple[str, ...] = ()) -> list[str]:
    """The types of all events of the platform, oldest first."""
    page = await sdk.v1.events.list_async({"limit": 100})
    types = [event.type async for event in page.auto_paging_iter()]
    return [kind for kind in reversed(types) if not kind.startswith(without)]


async def invoices(sdk: stripe.StripeClient, subscription_id: str) -> list[stripe.Invoice]:
    """All invoices of a subscription, oldest first."""
    page = await sdk.v1.invoices.list_async({"subscription": subscription_id, "limit": 100})
    return list(reversed(page.data))
