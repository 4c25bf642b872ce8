"""Customers, prices, test cards, payment intents and refunds, as the SDK sees them."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.stripe import billing


async def pay(sdk: stripe.StripeClient, card: str, cents: int = 1_000, **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": cents, "currency": "usd", "payment_method": card, "confirm": True, **more}
    return await sdk.v1.payment_intents.create_async(params)


async def test_a_payment_moves_the_balance_by_its_amount_less_the_fee(sdk: stripe.StripeClient) -> None:
    intent = await pay(sdk, "pm_card_visa", 10_000, expand=["latest_charge.balance_transaction"])
    assert (intent.status, intent.amount_received) == ("succeeded", 10_000)
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (320, 9_680)
    assert (await sdk.v1.balance.retrieve_async()).available[0].amount == 9_680
    assert await billing.event_types(sdk) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ],
)
async def test_a_declined_card_is_402_and_leaves_its_failed_charge(
    sdk: stripe.StripeClient, card: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        await pay(sdk, card)
    assert (declined.value.http_status, declined.value.code) == (402, code)
    error = declined.value.error
    assert error is not None
    assert error.decline_code == decline_code
    assert error.payment_intent is not None
    intent = await sdk.v1.payment_intents.retrieve_async(error.payment_intent.id)
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    charges = (await sdk.v1.charges.list_async({"payment_intent": intent.id})).data
    assert [(charge.status, charge.failure_code) for charge in charges] == [("failed", code)]
    assert (await sdk.v1.balance.retrieve_async()).available[0].amount == 0
    again = await sdk.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert again.status == "succeeded"


async def test_a_decline_is_remembered_by_its_idempotency_key(sdk: stripe.StripeClient) -> None:
    params: Any = {
        "amount": 500,
        "currency": "usd",
        "payment_method": "pm_card_visa_chargeDeclined",
        "confirm": True,
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await sdk.v1.payment_intents.create_async(params, {"idempotency_key": "once"})
    assert len((await sdk.v1.payment_intents.list_async()).data) == 1


async def test_a_card_that_needs_authentication_asks_on_session_and_fails_off_session(
    sdk: stripe.StripeClient,
) -> None:
    asked = await pay(sdk, "pm_card_authenticationRequired", return_url="https://shop.example/back")
    assert asked.status == "requires_action"
    assert asked.next_action is not None
    assert asked.next_action.redirect_to_url is not None
    assert "/3ds/" in str(asked.next_action.redirect_to_url.url)
    with pytest.raises(stripe.CardError) as refused:
        await pay(sdk, "pm_card_authenticationRequired", off_session=True)
    assert refused.value.code == "authentication_required"


async def test_most_cards_that_decline_cannot_be_saved_and_0341_can(sdk: stripe.StripeClient) -> None:
    made = await sdk.v1.customers.create_async({"name": "Dara"})
    with pytest.raises(stripe.CardError):
        await sdk.v1.payment_methods.attach_async("pm_card_visa_chargeDeclined", {"customer": made.id})
    saved = await sdk.v1.payment_methods.attach_async("pm_card_chargeCustomerFail", {"customer": made.id})
    with pytest.raises(stripe.CardError):
        await pay(sdk, saved.id, customer=made.id, off_session=True)
    cards = await sdk.v1.customers.payment_methods.list_async(made.id)
    assert [card.id for card in cards.data] == [saved.id]
    assert (await sdk.v1.payment_methods.detach_async(saved.id)).customer is None


async def test_a_card_is_made_from_its_number_and_an_unknown_number_is_refused(
    sdk: stripe.StripeClient,
) -> None:
    card: Any = {"number": "4242 4242 4242 4242", "exp_month": 1, "exp_year": 2031, "cvc": "123"}
    made = await sdk.v1.payment_methods.create_async({"type": "card", "card": card})
    assert made.card is not None
    assert (made.card.last4, made.card.exp_year) == ("4242", 2031)
    assert "4242424242424242" not in str(made.to_dict())
    card["number"] = "4242424242424241"
    with pytest.raises(stripe.CardError) as wrong:
        await sdk.v1.payment_methods.create_async({"type": "card", "card": card})
    assert wrong.value.code == "incorrect_number"


async def test_refunds_in_parts_up_to_the_whole_and_no_further(sdk: stripe.StripeClient) -> None:
    intent = await pay(sdk, "pm_card_visa", 1_000)
    first = await sdk.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 400, "metadata": {"act": "1"}}
    )
    assert (first.status, first.amount, first.charge) == ("succeeded", 400, intent.latest_charge)
    with pytest.raises(
        stripe.InvalidRequestError, match=r"greater than unrefunded amount on charge \(\$6.00\)"
    ):
        await sdk.v1.refunds.create_async({"payment_intent": intent.id, "amount": 601})
    assert (await sdk.v1.refunds.create_async({"payment_intent": intent.id})).amount == 600
    with pytest.raises(stripe.InvalidRequestError) as done:
        await sdk.v1.refunds.create_async({"payment_intent": intent.id})
    assert done.value.code == "charge_already_refunded"
    charge = await sdk.v1.charges.retrieve_async(str(intent.latest_charge), {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded) == (True, 1_000)
    assert charge.refunds is not None
    assert [refund.amount for refund in charge.refunds.data] == [600, 400]
    # The fee of the charge is not given back, as Stripe keeps it too.
    assert (await sdk.v1.balance.retrieve_async()).available[0].amount == -59


async def test_a_refund_can_fail_later(sdk: stripe.StripeClient) -> None:
    intent = await pay(sdk, "pm_card_refundFail")
    refund = await sdk.v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    after = await sdk.v1.refunds.retrieve_async(refund.id)
    assert (after.status, after.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (await billing.event_types(sdk))[-3:] == [
        "refund.updated",
        "refund.failed",
        "charge.refund.updated",
    ]


async def test_customers_are_changed_found_and_deleted(sdk: stripe.StripeClient) -> None:
    made = await billing.customer(sdk)
    await sdk.v1.customers.update_async(made.id, {"name": "Sok", "metadata": {"user": "1"}})
    found = (await sdk.v1.customers.list_async({"email": "c@example.com"})).data
    assert [(one.id, one.name) for one in found] == [(made.id, "Sok")]
    await sdk.v1.customers.delete_async(made.id)
    assert (await sdk.v1.customers.list_async()).data == []
    gone: Any = await sdk.v1.customers.retrieve_async(made.id)
    assert gone.deleted
    with pytest.raises(stripe.InvalidRequestError) as missing:
        await pay(sdk, "pm_card_visa", customer=made.id)
    assert missing.value.code == "resource_missing"


async def test_prices_recurring_and_one_off(sdk: stripe.StripeClient) -> None:
    product = await sdk.v1.products.create_async({"name": "Pro"})
    monthly: Any = {"product": product.id, "currency": "usd", "unit_amount": 4_900, "lookup_key": "pro"}
    recurring = await sdk.v1.prices.create_async(monthly | {"recurring": {"interval": "month"}})
    one_off = await sdk.v1.prices.create_async(monthly | {"lookup_key": "pack"})
    assert (recurring.type, one_off.type) == ("recurring", "one_time")
    found = await sdk.v1.prices.list_async({"lookup_keys": ["pro"]})
    assert [price.id for price in found.data] == [recurring.id]
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        await sdk.v1.prices.create_async(monthly)
    moved = await sdk.v1.prices.create_async(monthly | {"transfer_lookup_key": True})
    assert moved.lookup_key == "pro"
    await sdk.v1.prices.update_async(recurring.id, {"active": False})
    active = await sdk.v1.prices.list_async({"active": True, "product": product.id})
    assert {price.id for price in active.data} == {moved.id, one_off.id}
