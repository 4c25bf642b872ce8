"""Payments that do not fit what is sold, whoever made them at Stripe: an admin is told, and the books do not move."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.gateways.billing import Invoice, InvoiceLine, Price
from app.gateways.payments import InvalidPaymentRequest
from app.gateways.stripe_client import translated
from app.subscriptions.entitlements import UnexpectedInvoiceError, entitlement
from app.subscriptions.tiers import TIERS, TierName
from tests.billing.buyers import Shop

STARTER = TIERS[TierName.STARTER]
START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
PRICE = Price("price_1", "starter", STARTER.price_cents, "usd", STARTER.credits_per_period, tier="starter")
LINE = InvoiceLine("price_1", STARTER.price_cents, False, START, END)
INVOICE = Invoice(
    id="in_1",
    customer_id="cus_1",
    subscription_id="sub_1",
    status="paid",
    reason="subscription_cycle",
    currency="usd",
    total=STARTER.price_cents,
    amount_due=STARTER.price_cents,
    amount_paid=STARTER.price_cents,
    attempted=True,
    created_at=START,
    lines=(LINE,),
)


def granted(invoice: Invoice = INVOICE, **line: Any) -> int:
    """The credits of a paid invoice whose one line is changed."""
    found = entitlement(replace(invoice, lines=(replace(LINE, **line),)), {"price_1": PRICE})
    return found.credits if found else 0


def test_the_price_of_a_period_gives_its_credits() -> None:
    assert granted() == STARTER.credits_per_period


@pytest.mark.parametrize("amount", [0, -1, -STARTER.price_cents, STARTER.price_cents - 1, 10**15])
def test_an_amount_that_is_not_the_price_of_a_period_is_for_an_admin(amount: int) -> None:
    with pytest.raises(UnexpectedInvoiceError, match=str(amount)):
        granted(amount=amount)


@pytest.mark.parametrize("amount", [STARTER.price_cents + 1, -STARTER.price_cents - 1, 10**15])
def test_a_part_of_a_period_is_never_more_than_the_whole(amount: int) -> None:
    with pytest.raises(UnexpectedInvoiceError, match=str(amount)):
        granted(amount=amount, proration=True)


def test_a_part_that_is_worth_less_than_a_hundredth_of_a_credit_gives_none() -> None:
    assert (granted(amount=0, proration=True), granted(amount=1, proration=True)) == (0, 0)


def test_another_currency_and_several_of_a_tier_are_for_an_admin() -> None:
    with pytest.raises(UnexpectedInvoiceError, match="eur"):
        granted(replace(INVOICE, currency="eur"))
    with pytest.raises(UnexpectedInvoiceError, match="2 of a tier"):
        granted(quantity=2)


@pytest.mark.parametrize(
    ("amount", "currency"), [(50, "usd"), (99_999_999, "usd"), (9_900, "eur"), (30_000, "eur")]
)
async def test_a_pack_paid_with_another_amount_or_currency_grants_nothing(
    shop: Shop, amount: int, currency: str
) -> None:
    buyer = await shop.client()
    await shop.sdk.v1.payment_intents.create_async(
        {
            "amount": amount,
            "currency": currency,
            "customer": buyer.customer_id,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"client_id": buyer.id, "pack": "small"},
        }
    )
    state = await buyer.settle()
    assert [fault.partition(": ")[2] for fault in state.faults] == [f"{amount} {currency} for the pack small"]
    assert (await buyer.books())[3] == []


async def test_a_subscription_in_another_currency_grants_nothing(shop: Shop) -> None:
    buyer = await shop.client()
    price = await shop.sdk.v1.prices.create_async(
        {
            "product_data": {"name": "Starter"},
            "currency": "eur",
            "unit_amount": STARTER.price_cents,
            "recurring": {"interval": "month"},
            "metadata": {"tier": "starter", "credits": str(STARTER.credits_per_period)},
        }
    )
    await shop.sdk.v1.subscriptions.create_async(
        {"customer": buyer.customer_id, "items": [{"price": price.id}]}
    )
    state = await buyer.settle()
    assert [fault.partition(": ")[2] for fault in state.faults] == ["paid in eur"]
    assert (await buyer.books())[3] == []


@pytest.mark.parametrize("amount", ["0", "-1", "1.5", "100000000000"])
async def test_amounts_that_stripe_itself_refuses(shop: Shop, amount: str) -> None:
    params: Any = {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    with pytest.raises(InvalidPaymentRequest):
        await translated(shop.sdk.v1.payment_intents.create_async(params))
