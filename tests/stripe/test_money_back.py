"""Money that goes back: disputes and transfer reversals; and payouts that a schedule makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe import billing
from tests.stripe.test_payments import pay


async def available(sdk: stripe.StripeClient, account: str | None = None) -> int:
    options: Any = {"stripe_account": account} if account else {}
    return (await sdk.v1.balance.retrieve_async({}, options)).available[0].amount


async def disputed(sdk: stripe.StripeClient, card: str = "pm_card_createDispute") -> stripe.Dispute:
    intent = await pay(sdk, card, 10_000)
    return (await sdk.v1.disputes.list_async({"payment_intent": intent.id})).data[0]


async def test_a_dispute_takes_the_money_and_its_fee_until_it_is_won(sdk: stripe.StripeClient) -> None:
    dispute = await disputed(sdk)
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 10_000)
    assert await available(sdk) == 9_680 - 10_000 - 1_500
    charge = await sdk.v1.charges.retrieve_async(str(dispute.charge))
    assert charge.disputed
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await sdk.v1.refunds.create_async({"charge": charge.id})
    assert refused.value.code == "charge_disputed"
    sent = await sdk.v1.disputes.update_async(
        dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}}
    )
    assert (sent.status, sent.evidence_details.submission_count) == ("under_review", 1)
    assert (await sdk.v1.disputes.retrieve_async(dispute.id)).status == "won"
    assert await available(sdk) == 9_680
    assert [kind for kind in await billing.event_types(sdk) if "dispute" in kind] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


async def test_a_dispute_can_be_lost_by_evidence_or_accepted(sdk: stripe.StripeClient) -> None:
    one, other = await disputed(sdk), await disputed(sdk, "pm_card_createDisputeProductNotReceived")
    assert other.reason == "product_not_received"
    await sdk.v1.disputes.update_async(one.id, {"evidence": {"uncategorized_text": "losing_evidence"}})
    assert (await sdk.v1.disputes.retrieve_async(one.id)).status == "lost"
    assert (await sdk.v1.disputes.close_async(other.id)).status == "lost"
    assert await available(sdk) == 2 * (9_680 - 10_000 - 1_500)
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.disputes.close_async(other.id)


async def test_an_inquiry_moves_no_money(sdk: stripe.StripeClient) -> None:
    inquiry = await disputed(sdk, "pm_card_createDisputeInquiry")
    assert (inquiry.status, await available(sdk)) == ("warning_needs_response", 9_680)


async def test_a_transfer_is_reversed_in_parts_each_under_its_own_key(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    transfer = await gateway.create_transfer(worker, 5_000, "job-1", idempotency_key="t")
    before = await available(sdk)
    first = await sdk.v1.transfers.reversals.create_async(
        transfer.id, {"amount": 2_000, "metadata": {"entry": "1"}}, {"idempotency_key": "r1"}
    )
    again = await sdk.v1.transfers.reversals.create_async(
        transfer.id, {"amount": 2_000, "metadata": {"entry": "1"}}, {"idempotency_key": "r1"}
    )
    assert first.id == again.id
    with pytest.raises(
        stripe.InvalidRequestError, match=r"greater than unreversed amount on transfer \(\$30"
    ):
        await sdk.v1.transfers.reversals.create_async(transfer.id, {"amount": 3_001})
    await sdk.v1.transfers.reversals.create_async(transfer.id, {}, {"idempotency_key": "r2"})
    after = await sdk.v1.transfers.retrieve_async(transfer.id)
    assert (after.reversed, after.amount_reversed, len(after.reversals.data)) == (True, 5_000, 2)
    assert (await available(sdk), await available(sdk, worker)) == (before + 5_000, 0)
    listed = await sdk.v1.transfers.reversals.list_async(transfer.id)
    assert [reversal.amount for reversal in listed.data] == [3_000, 2_000]
    assert (await billing.event_types(sdk)).count("transfer.reversed") == 2


async def test_money_that_has_left_for_the_bank_cannot_be_reversed(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    transfer = await gateway.create_transfer(worker, 5_000, "job-1", idempotency_key="t")
    await gateway.create_payout(worker, 4_000, idempotency_key="p")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await sdk.v1.transfers.reversals.create_async(transfer.id, {"amount": 1_001})
    assert refused.value.code == "balance_insufficient"


async def test_a_weekly_schedule_pays_out_what_is_available_above_the_minimum(
    sdk: stripe.StripeClient, gateway: StripeGateway, control: SandboxControl, worker: str
) -> None:
    weekly: Any = {"settings": {"payouts": {"schedule": {"interval": "weekly", "weekly_anchor": "friday"}}}}
    account = await sdk.v1.accounts.update_async(worker, weekly)
    assert account.settings is not None
    assert account.settings.payouts is not None
    assert account.settings.payouts.schedule.interval == "weekly"
    await gateway.create_transfer(worker, 2_999, "job-1", idempotency_key="t1")
    await control.advance_clock(7 * billing.DAY)
    assert (await sdk.v1.payouts.list_async({}, {"stripe_account": worker})).data == [], "below the minimum"
    await gateway.create_transfer(worker, 1, "job-2", idempotency_key="t2")
    await control.advance_clock(7 * billing.DAY)
    payouts = (await sdk.v1.payouts.list_async({}, {"stripe_account": worker})).data
    assert [(payout.amount, payout.status, payout.automatic) for payout in payouts] == [(3_000, "paid", True)]
    assert datetime.fromtimestamp(payouts[0].created, UTC).strftime("%A %H:%M") == "Friday 00:00"


async def test_a_payout_can_be_stopped_only_before_the_bank_has_it(
    sdk: stripe.StripeClient, gateway: StripeGateway, worker: str
) -> None:
    await gateway.create_transfer(worker, 5_000, "job-1", idempotency_key="t")
    payout = await gateway.create_payout(worker, 5_000, idempotency_key="p")
    await gateway.retrieve_payout(worker, payout.id)
    with pytest.raises(stripe.InvalidRequestError, match="while they are pending"):
        await sdk.v1.payouts.cancel_async(payout.id, {}, {"stripe_account": worker})
