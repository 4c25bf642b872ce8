"""Subscriptions on test clocks: renewals, dunning, proration, cancellation."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import stripe

from tests.stripe import billing
from tests.stripe.billing import DAY, MONTH

FEBRUARY = MONTH + 31 * DAY
MARCH = FEBRUARY + 28 * DAY
HOUR = 3_600


def period(subscription: stripe.Subscription) -> tuple[int, int]:
    item = subscription["items"].data[0]
    return item.current_period_start, item.current_period_end


async def test_the_first_invoice_is_paid_at_once_and_says_what_for(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    pro = await billing.price(sdk, 4_900)
    made = await billing.subscribe(
        sdk, client.id, pro.id, metadata={"client": "7"}, expand=["latest_invoice.payments"]
    )
    assert (made.status, period(made)) == ("active", (MONTH, FEBRUARY))
    invoice = made.latest_invoice
    assert isinstance(invoice, stripe.Invoice)
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == (
        "paid",
        4_900,
        "subscription_create",
    )
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == made.id
    assert invoice.parent.subscription_details.metadata is not None
    assert invoice.parent.subscription_details.metadata.to_dict() == {"client": "7"}
    line = invoice.lines.data[0]
    assert (line.period.start, line.period.end, line.amount) == (MONTH, FEBRUARY, 4_900)
    assert line.parent is not None
    assert line.parent.subscription_item_details is not None
    assert line.parent.subscription_item_details.subscription_item == made["items"].data[0].id
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    assert line.pricing.price_details.price == pro.id
    assert invoice.payments is not None
    intent = str(invoice.payments.data[0].payment.payment_intent)
    back = await sdk.v1.invoice_payments.list_async(
        {"payment": {"type": "payment_intent", "payment_intent": intent}}
    )
    assert [payment.invoice for payment in back.data] == [invoice.id]
    types = await billing.event_types(
        sdk, without=("customer.created", "price.", "product.", "payment_method.")
    )
    assert types[-10:] == [
        "customer.subscription.created",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ]


async def test_a_renewal_is_a_draft_for_an_hour_and_then_paid(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 4_900)).id)
    await billing.advance(sdk, clock, FEBRUARY)
    draft = (await billing.invoices(sdk, made.id))[-1]
    assert (draft.status, draft.billing_reason) == ("draft", "subscription_cycle")
    assert draft.automatically_finalizes_at == FEBRUARY + HOUR
    assert period(await sdk.v1.subscriptions.retrieve_async(made.id)) == (FEBRUARY, MARCH)
    await billing.advance(sdk, clock, FEBRUARY + HOUR)
    paid = await sdk.v1.invoices.retrieve_async(draft.id)
    assert (paid.status, paid.lines.data[0].period.end) == ("paid", MARCH)
    assert "invoice.upcoming" in await billing.event_types(sdk)


async def test_a_year_of_renewals_keeps_the_day_of_the_month(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk, MONTH + 30 * DAY)  # 31 January
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 100)).id)
    await billing.advance(sdk, clock, MONTH + 396 * DAY)
    invoices = await billing.invoices(sdk, made.id)
    assert [invoice.status for invoice in invoices] == ["paid"] * 13
    starts = [(invoice.lines.data[0].period.start - MONTH) // DAY for invoice in invoices[:4]]
    assert starts == [30, 58, 89, 119]  # 31 January, 28 February, 31 March, 30 April
    assert all(
        a.lines.data[0].period.end == b.lines.data[0].period.start for a, b in itertools.pairwise(invoices)
    )


async def test_dunning_retries_after_three_five_and_seven_days_and_then_cancels(
    sdk: stripe.StripeClient,
) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 4_900)).id)
    await billing.use_card(sdk, client.id, "pm_card_chargeCustomerFail")
    await billing.advance(sdk, clock, FEBRUARY + HOUR)
    first = (await billing.invoices(sdk, made.id))[-1]
    assert (first.status, first.attempt_count) == ("open", 1)
    assert first.next_payment_attempt == FEBRUARY + HOUR + 3 * DAY
    assert (await sdk.v1.subscriptions.retrieve_async(made.id)).status == "past_due"
    assert (await sdk.v1.customers.retrieve_async(client.id)).delinquent
    await billing.advance(sdk, clock, FEBRUARY + HOUR + 8 * DAY)
    third = await sdk.v1.invoices.retrieve_async(first.id)
    assert (third.attempt_count, third.next_payment_attempt) == (3, FEBRUARY + HOUR + 15 * DAY)
    await billing.advance(sdk, clock, FEBRUARY + HOUR + 15 * DAY)
    last = await sdk.v1.invoices.retrieve_async(first.id)
    assert (last.status, last.attempt_count, last.next_payment_attempt) == ("open", 4, None)
    ended = await sdk.v1.subscriptions.retrieve_async(made.id)
    assert (ended.status, ended.ended_at) == ("canceled", FEBRUARY + HOUR + 15 * DAY)
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.reason == "payment_failed"
    assert (await billing.event_types(sdk)).count("invoice.payment_failed") == 4


async def test_a_new_card_mends_a_subscription_past_due(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 4_900)).id)
    await billing.use_card(sdk, client.id, "pm_card_chargeCustomerFail")
    await billing.advance(sdk, clock, FEBRUARY + HOUR)
    owed = (await billing.invoices(sdk, made.id))[-1]
    with pytest.raises(stripe.CardError):
        await sdk.v1.invoices.pay_async(owed.id)
    after = await sdk.v1.invoices.retrieve_async(owed.id)
    assert after.next_payment_attempt == owed.next_payment_attempt, "a manual attempt moves no schedule"
    await billing.use_card(sdk, client.id, "pm_card_visa")
    assert (await sdk.v1.invoices.pay_async(owed.id)).status == "paid"
    assert (await sdk.v1.subscriptions.retrieve_async(made.id)).status == "active"
    await billing.advance(sdk, clock, MARCH - DAY)
    assert len(await billing.invoices(sdk, made.id)) == 2, "the retry that was planned did nothing"


async def test_a_first_payment_that_fails_leaves_it_incomplete_and_it_expires(
    sdk: stripe.StripeClient,
) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, "pm_card_chargeCustomerFail", clock=clock)
    pro = (await billing.price(sdk, 4_900)).id
    made = await billing.subscribe(sdk, client.id, pro)
    assert made.status == "incomplete"
    with pytest.raises(stripe.CardError):
        await billing.subscribe(sdk, client.id, pro, payment_behavior="error_if_incomplete")
    assert len((await sdk.v1.subscriptions.list_async({"customer": client.id, "status": "all"})).data) == 1
    await billing.advance(sdk, clock, MONTH + 23 * HOUR)
    assert (await sdk.v1.subscriptions.retrieve_async(made.id)).status == "incomplete_expired"
    assert [invoice.status for invoice in await billing.invoices(sdk, made.id)] == ["void"]


async def test_a_first_payment_left_to_the_customer(sdk: stripe.StripeClient) -> None:
    client = await sdk.v1.customers.create_async({"email": "c@example.com"})
    made = await billing.subscribe(
        sdk,
        client.id,
        (await billing.price(sdk, 4_900)).id,
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["latest_invoice.confirmation_secret"],
    )
    assert made.status == "incomplete"
    assert isinstance(made.latest_invoice, stripe.Invoice)
    assert made.latest_invoice.confirmation_secret is not None
    intent = made.latest_invoice.confirmation_secret.client_secret.partition("_secret_")[0]
    await sdk.v1.payment_intents.confirm_async(intent, {"payment_method": "pm_card_visa"})
    after = await sdk.v1.subscriptions.retrieve_async(made.id)
    assert (after.status, after.default_payment_method is not None) == ("active", True)


async def change(
    sdk: stripe.StripeClient, made: stripe.Subscription, price: str, **more: Any
) -> stripe.Subscription:
    params: Any = {"items": [{"id": made["items"].data[0].id, "price": price}], **more}
    return await sdk.v1.subscriptions.update_async(made.id, params)


async def test_an_upgrade_in_mid_period_is_prorated_and_paid_at_once(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 3_100)).id)
    bigger = (await billing.price(sdk, 6_200)).id
    await billing.advance(sdk, clock, MONTH + 10 * DAY)
    preview = await sdk.v1.invoices.create_preview_async(
        {
            "subscription": made.id,
            "subscription_details": {
                "items": [{"id": made["items"].data[0].id, "price": bigger}],
                "proration_behavior": "always_invoice",
            },
        }
    )
    changed = await change(sdk, made, bigger, proration_behavior="always_invoice")
    assert (changed["items"].data[0].price.id, period(changed)) == (bigger, (MONTH, FEBRUARY))
    invoice = (await billing.invoices(sdk, made.id))[-1]
    assert [line.amount for line in invoice.lines.data] == [-2_100, 4_200]
    assert [line.amount for line in preview.lines.data] == [-2_100, 4_200]
    assert (invoice.status, invoice.amount_paid, preview.amount_due) == ("paid", 2_100, 2_100)
    assert invoice.billing_reason == "subscription_update"
    line = invoice.lines.data[0]
    assert (line.period.start, line.period.end) == (MONTH + 10 * DAY, FEBRUARY)
    assert line.parent is not None
    assert line.parent.subscription_item_details is not None
    assert line.parent.subscription_item_details.proration
    assert len(await billing.invoices(sdk, made.id)) == 2, "the preview left nothing behind"


async def test_a_downgrade_waits_as_credit_for_the_next_invoice(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 6_200)).id)
    smaller = (await billing.price(sdk, 1_000)).id
    await billing.advance(sdk, clock, MONTH + 10 * DAY)
    await change(sdk, made, smaller)
    assert len(await billing.invoices(sdk, made.id)) == 1
    upcoming = await sdk.v1.invoices.create_preview_async({"subscription": made.id})
    assert [line.amount for line in upcoming.lines.data] == [-4_200, 677, 1_000]
    await billing.advance(sdk, clock, FEBRUARY + HOUR)
    renewal = (await billing.invoices(sdk, made.id))[-1]
    assert (renewal.total, renewal.amount_due, renewal.status) == (-2_523, 0, "paid")
    assert (await sdk.v1.customers.retrieve_async(client.id)).balance == -2_523
    entries = await sdk.v1.customers.balance_transactions.list_async(client.id)
    assert [entry.amount for entry in entries.data] == [-2_523]
    await billing.advance(sdk, clock, MARCH + HOUR)
    march = (await billing.invoices(sdk, made.id))[-1]
    assert (march.amount_due, march.starting_balance, march.ending_balance) == (0, -2_523, -1_523)


async def test_another_interval_begins_a_new_period_now(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 3_100)).id)
    yearly = (await billing.price(sdk, 30_000, interval="year")).id
    await billing.advance(sdk, clock, MONTH + 10 * DAY)
    changed = await change(sdk, made, yearly)
    assert period(changed) == (MONTH + 10 * DAY, MONTH + 375 * DAY)
    invoice = (await billing.invoices(sdk, made.id))[-1]
    assert ([line.amount for line in invoice.lines.data], invoice.amount_paid) == ([-2_100, 30_000], 27_900)
    await billing.advance(sdk, clock, MARCH)
    assert len(await billing.invoices(sdk, made.id)) == 2, "the old renewal did not come"


async def test_cancelling_at_the_end_of_the_period_can_be_undone(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    pro = (await billing.price(sdk, 4_900)).id
    one = await billing.subscribe(sdk, client.id, pro)
    other = await billing.subscribe(sdk, client.id, pro)
    for made in (one, other):
        leaving = await sdk.v1.subscriptions.update_async(made.id, {"cancel_at_period_end": True})
        assert (leaving.cancel_at, leaving.canceled_at, leaving.status) == (FEBRUARY, MONTH, "active")
    staying = await sdk.v1.subscriptions.update_async(other.id, {"cancel_at_period_end": False})
    assert (staying.cancel_at, staying.canceled_at) == (None, None)
    await billing.advance(sdk, clock, FEBRUARY + HOUR)
    assert (await sdk.v1.subscriptions.retrieve_async(one.id)).status == "canceled"
    assert (await sdk.v1.subscriptions.retrieve_async(other.id)).status == "active"
    assert [len(await billing.invoices(sdk, made.id)) for made in (one, other)] == [1, 2]


async def test_cancelling_now_with_credit_for_the_unused_time(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 3_100)).id)
    await billing.advance(sdk, clock, MONTH + 10 * DAY)
    gone = await sdk.v1.subscriptions.cancel_async(made.id, {"prorate": True, "invoice_now": True})
    assert (gone.status, gone.ended_at) == ("canceled", MONTH + 10 * DAY)
    assert (await sdk.v1.customers.retrieve_async(client.id)).balance == -2_100
    assert (await billing.event_types(sdk))[-1] == "customer.subscription.deleted"
    assert (await sdk.v1.subscriptions.list_async({"customer": client.id})).data == []
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.subscriptions.cancel_async(made.id)


async def test_a_clock_does_not_go_back_and_takes_its_customers_with_it(sdk: stripe.StripeClient) -> None:
    clock = await billing.clock(sdk)
    client = await billing.customer(sdk, clock=clock)
    made = await billing.subscribe(sdk, client.id, (await billing.price(sdk, 100)).id)
    with pytest.raises(stripe.InvalidRequestError, match="in the past"):
        await sdk.v1.test_helpers.test_clocks.advance_async(clock, {"frozen_time": MONTH})
    await sdk.v1.test_helpers.test_clocks.delete_async(clock)
    assert (await sdk.v1.subscriptions.retrieve_async(made.id)).status == "canceled"


async def test_an_invoice_made_by_hand(sdk: stripe.StripeClient) -> None:
    client = await billing.customer(sdk)
    item = await sdk.v1.invoice_items.create_async({"customer": client.id, "amount": 750, "currency": "usd"})
    invoice = await sdk.v1.invoices.create_async(
        {"customer": client.id, "pending_invoice_items_behavior": "include", "auto_advance": False}
    )
    assert (invoice.status, invoice.total, item.invoice) == ("draft", 750, None)
    final = await sdk.v1.invoices.finalize_invoice_async(invoice.id)
    assert (final.status, final.number is not None) == ("open", True)
    assert (await sdk.v1.invoices.pay_async(invoice.id)).status == "paid"
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        await sdk.v1.invoices.pay_async(invoice.id)
