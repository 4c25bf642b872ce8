"""The books follow what Stripe says now: paid, changed, given back, charged back; once each, however often asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pymongo.asynchronous.collection import AsyncCollection

from app.gateways.billing import Charge, Refund
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.money.credits import Credits
from app.money.keys import hold_key, invoice_grant_key
from app.money.verify import verify
from app.subscriptions import settlement
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.settlement import Settlement
from app.subscriptions.tiers import TIERS, TierName
from tests.billing.buyers import Shop
from tests.stripe import billing as stripe_billing
from tests.stripe.processes import Service

STARTER, GROWTH, SCALE = (TIERS[name] for name in TierName)


async def test_a_paid_checkout_grants_the_period_once_and_writes_the_subscription(shop: Shop) -> None:
    buyer = await shop.client(card=None)
    await buyer.pay_page(await shop.price(TierName.GROWTH))
    state = await buyer.settle()
    assert (state.status, state.tier, state.faults) == ("active", "growth", [])
    for _ in range(3):
        assert await buyer.settle() == state
    balance = await buyer.balance()
    now = await buyer.subscription()
    assert [lot.amount for lot in balance.lots] == [GROWTH.credits_per_period]
    assert balance.lots[0].expires_at is not None
    assert balance.lots[0].expires_at > now.period_end, "it rolls over"
    stored = await buyer.document()
    assert (stored["tier"], stored["status"], stored["stripeSubscriptionId"]) == ("growth", "active", now.id)
    assert stored["currentPeriodEnd"] == now.period_end
    assert stored["credits"] == {"available": GROWTH.credits_per_period, "held": 0}
    row = (await shop.database["transactions"].find({"book": f"client:{buyer.id}"}).to_list())[0]
    usd = {leg["account"]: leg["amount"] for leg in row["legs"] if leg["currency"] == "USD"}
    assert usd["platform:stripe_clearing"] == GROWTH.price_cents
    assert row["stripePaymentIntentId"] == await buyer.payment()
    assert (row["clientId"], row["subscriptionId"]) == (buyer.id, stored["_id"])
    assert (row["amount"], row["status"]) == (GROWTH.credits_per_period, "posted")
    assert await buyer.notices() == ["subscription.credits_granted"]


class _DiedError(Exception):
    """The process ends here."""


async def test_who_is_let_in_has_the_credits_and_what_a_crash_kept_back_is_told_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    steps: list[str] = []

    async def grant(self: Credits, *_: object, **__: object) -> None:
        steps.append("grant")
        raise _DiedError

    with monkeypatch.context() as patched:
        patched.setattr(Credits, "grant", grant)
        with pytest.raises(_DiedError):
            await buyer.settle()
    assert steps == ["grant"]
    assert await shop.database["subscriptions"].count_documents({"userId": buyer.id}) == 0
    await buyer.settle()
    await shop.billing.set_cancel_at_period_end(
        (await buyer.subscription()).id, wanted=True, idempotency_key=new_id()
    )

    async def dies(*_: object, **__: object) -> None:
        raise _DiedError

    for where, name in ((settlement, "enqueue"), (AsyncCollection, "update_one")):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, dies)
            with pytest.raises(_DiedError):
                await buyer.settle()
    for _ in range(2):
        await buyer.settle()
    assert (await buyer.document())["cancelAtPeriodEnd"] is True
    assert (await buyer.notices()).count("subscription.ending") == 1


async def test_many_at_once_grant_once(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    settlements = [Settlement(shop.database, shop.billing, Credits(shop.database)) for _ in range(6)]
    await asyncio.gather(*(one.settle(buyer.id) for one in settlements))
    assert (await buyer.balance()).available == STARTER.credits_per_period
    assert await shop.database["subscriptions"].count_documents({"userId": buyer.id}) == 1


async def test_each_renewal_grants_and_unused_credits_lapse_or_roll_over(shop: Shop) -> None:
    starter, growth = await shop.client(clock=True), await shop.client(clock=True)
    await starter.subscribe(TierName.STARTER)
    await growth.subscribe(TierName.GROWTH)
    for buyer in (starter, growth):
        for _ in range(2):
            await buyer.wait(32)
            await buyer.settle()
    ends = {}
    for buyer in (starter, growth):
        rows = await shop.database["transactions"].find({"book": f"client:{buyer.id}"}).to_list()
        assert len(rows) == 3
        invoices = await shop.billing.list_invoices(buyer.customer_id)
        ends[buyer.id] = [
            (row["lot"]["expiresAt"] - invoice.lines[0].period_end).days
            for row, invoice in zip(rows, invoices, strict=True)
        ]
    assert ends[starter.id] == [0, 0, 0]
    assert all(28 <= days <= 31 for days in ends[growth.id])


async def test_an_upgrade_gives_the_share_of_the_period_that_is_left(shop: Shop) -> None:
    buyer = await shop.client(clock=True)
    await buyer.subscribe(TierName.STARTER)
    await buyer.settle()
    await buyer.wait(10)
    await buyer.change(TierName.GROWTH)
    state = await buyer.settle()
    assert state.tier == "growth"
    now = await buyer.subscription()
    share = (now.period_end.timestamp() - buyer.now) / (now.period_end - now.period_start).total_seconds()
    expected = share * (GROWTH.credits_per_period - STARTER.credits_per_period)
    balance = await buyer.balance()
    assert abs(balance.available - STARTER.credits_per_period - expected) < 2
    assert await buyer.settle() == state
    assert (await buyer.balance()).available == balance.available


async def test_a_downgrade_takes_the_share_back_and_a_round_trip_gains_nothing(shop: Shop) -> None:
    buyer = await shop.client(clock=True)
    await buyer.subscribe(TierName.GROWTH)
    await buyer.settle()
    await buyer.wait(10)
    await buyer.change(TierName.STARTER)
    await buyer.settle()
    after = (await buyer.balance()).available
    assert STARTER.credits_per_period < after < GROWTH.credits_per_period
    await buyer.change(TierName.GROWTH)
    await buyer.settle()
    await buyer.settle()
    balance = await buyer.balance()
    assert GROWTH.credits_per_period - 3 <= balance.available <= GROWTH.credits_per_period
    assert balance.debt == 0


async def test_credits_spent_before_a_downgrade_become_a_debt(shop: Shop) -> None:
    """The door refuses it; from the dashboard it can be done all the same."""
    buyer = await shop.client(clock=True)
    await buyer.subscribe(TierName.GROWTH)
    await buyer.settle()
    await buyer.spend(GROWTH.credits_per_period)
    await buyer.change(TierName.STARTER)
    await buyer.settle()
    balance = await buyer.balance()
    assert balance.debt > 0
    assert (await shop.credits.hold(buyer.id, "j2", 1, key=hold_key(f"2-{buyer.id}"))).outcome == "in_debt"


async def test_a_pack_is_granted_once_and_outlives_the_tier(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.pay_page(await shop.pack())
    for _ in range(2):
        await buyer.settle()
    pack = PACKS[PackName.SMALL]
    balance = await buyer.balance()
    assert [lot.amount for lot in balance.lots] == [STARTER.credits_per_period, pack.credits]
    assert balance.lots[1].source == "top-up:small"


async def test_a_refund_takes_its_share_and_a_whole_one_everything(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.settle()
    payment = await buyer.payment()
    await shop.sdk.v1.refunds.create_async({"payment_intent": payment, "amount": 12_450})
    await buyer.settle()
    assert (await buyer.balance()).available == STARTER.credits_per_period // 2
    await shop.sdk.v1.refunds.create_async({"payment_intent": payment})
    for _ in range(2):
        await buyer.settle()
    balance = await buyer.balance()
    assert (balance.available, balance.debt) == (0, 0)
    rows = await shop.database["transactions"].find({"book": f"client:{buyer.id}"}).to_list()
    usd = sum(
        leg["amount"] for row in rows for leg in row["legs"] if leg["account"] == "platform:stripe_clearing"
    )
    assert usd == 0


class Earlier(StripeBilling):
    """Stripe as it stood a moment ago: the sandbox lets a refund fail as soon as it is asked for anything else."""

    async def list_charges(self, customer_id: str) -> list[Charge]:
        charges = await super().list_charges(customer_id)
        return [replace(charge, amount_refunded=charge.amount) for charge in charges]

    async def list_refunds(self, charge_id: str) -> list[Refund]:
        return [replace(refund, status="pending") for refund in await super().list_refunds(charge_id)]


async def test_a_refund_that_fails_is_given_back(shop: Shop, stripe_sandbox: Service, api_key: str) -> None:
    buyer = await shop.client(card="pm_card_refundFail")
    await buyer.subscribe()
    await buyer.settle()
    refund = await shop.sdk.v1.refunds.create_async({"payment_intent": await buyer.payment()})
    earlier = Earlier(api_key, api_base=stripe_sandbox.base_url)
    await Settlement(shop.database, earlier, shop.credits).settle(buyer.id)
    await earlier.close()
    assert (await buyer.balance()).available == 0
    assert (await shop.sdk.v1.refunds.retrieve_async(refund.id)).status == "failed"
    for _ in range(2):
        await buyer.settle()
    assert (await buyer.balance()).available == STARTER.credits_per_period


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_chargeback_of_spent_credits_is_a_debt_until_it_is_won(shop: Shop, outcome: str) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.settle()
    await buyer.spend(400)
    dispute = await shop.control.open_dispute(await buyer.payment())
    state = await buyer.settle()
    balance = await buyer.balance()
    assert (balance.available, balance.debt, state.debt) == (0, 400, 400)
    refused = await shop.credits.hold(buyer.id, "j2", 1, key=hold_key(f"2-{buyer.id}"))
    assert refused.outcome == "in_debt"
    await shop.control.close_dispute(dispute, outcome)  # type: ignore[arg-type]  # parametrized
    for _ in range(2):
        await buyer.settle()
    balance = await buyer.balance()
    assert (balance.available, balance.debt) == ((600, 0) if outcome == "won" else (0, 400))


async def test_an_inquiry_takes_nothing(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.settle()
    await shop.control.open_dispute(await buyer.payment(), reason="inquiry")
    await buyer.settle()
    assert (await buyer.balance()).available == STARTER.credits_per_period


async def test_a_renewal_that_fails_grants_nothing_until_it_is_paid(shop: Shop) -> None:
    buyer = await shop.client(clock=True)
    await buyer.subscribe()
    await buyer.settle()
    await stripe_billing.use_card(shop.sdk, buyer.customer_id, "pm_card_chargeCustomerFail")
    await buyer.wait(32)
    state = await buyer.settle()
    assert (state.status, state.is_owing, state.owed_cents) == ("past_due", True, STARTER.price_cents)
    assert (await buyer.document())["status"] == "past_due"
    assert len((await buyer.books())[3]) == 1
    await stripe_billing.use_card(shop.sdk, buyer.customer_id, "pm_card_visa")
    assert state.owed_invoice_id is not None
    await shop.sdk.v1.invoices.pay_async(state.owed_invoice_id)
    state = await buyer.settle()
    assert (state.status, state.is_owing) == ("active", False)
    assert len((await buyer.books())[3]) == 2


async def test_cancelling_at_the_end_of_the_period_its_undoing_and_the_end(shop: Shop) -> None:
    buyer = await shop.client(clock=True)
    made = await buyer.subscribe()
    await shop.billing.set_cancel_at_period_end(made.id, wanted=True, idempotency_key="c1")
    await buyer.settle()
    assert (await buyer.document())["cancelAtPeriodEnd"] is True
    await shop.billing.set_cancel_at_period_end(made.id, wanted=False, idempotency_key="c2")
    await buyer.settle()
    assert (await buyer.document())["cancelAtPeriodEnd"] is False
    await shop.billing.set_cancel_at_period_end(made.id, wanted=True, idempotency_key="c3")
    await buyer.wait(32)
    state = await buyer.settle()
    assert (state.status, state.is_alive) == ("canceled", False)
    stored = await buyer.document()
    assert (stored["status"], stored["cancelAtPeriodEnd"]) == ("canceled", False)
    assert stored["endedAt"] is not None
    assert await buyer.notices() == [
        "subscription.credits_granted",
        "subscription.ended",
        "subscription.ending",
    ]


async def test_a_second_subscription_and_a_strange_pack_are_for_an_admin(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.subscribe()
    await shop.sdk.v1.payment_intents.create_async(
        {
            "amount": 100,
            "currency": "usd",
            "customer": buyer.customer_id,
            "payment_method": "pm_card_visa",
            "confirm": True,
            "metadata": {"client_id": buyer.id, "pack": "large"},
        }
    )
    await buyer.settle()
    state = await buyer.settle()
    assert len(state.faults) == 2
    faults = await shop.database["outbox"].count_documents(
        {"template": "billing.fault", "context.reason": {"$regex": "second|100 usd"}}
    )
    assert faults == 2
    assert (await buyer.balance()).available == 2 * STARTER.credits_per_period, "both were paid for"


async def test_a_process_that_died_after_the_grant_grants_once(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.settle()
    invoice = (await shop.billing.list_invoices(buyer.customer_id))[0]
    await shop.database["paid_grants"].delete_one({"_id": invoice.id})
    await shop.database["subscriptions"].delete_one({"userId": buyer.id})
    await buyer.settle()
    assert (await buyer.balance()).available == STARTER.credits_per_period
    assert await shop.database["transactions"].count_documents({"key": invoice_grant_key(invoice.id)}) == 1


async def test_nobody_is_settled_to_nothing(shop: Shop) -> None:
    state = await shop.settlement.settle("f" * 24)
    assert (state.status, state.customer_id, state.is_alive) == (None, None, False)


async def test_after_all_of_that_the_books_are_sound(shop: Shop) -> None:
    assert await verify(shop.database) == []
