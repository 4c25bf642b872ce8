"""Money that goes back when much else has happened: whoever looks late writes what those who looked in time wrote."""

from __future__ import annotations

from app.money.verify import verify
from app.subscriptions.packs import PACKS, PackName
from app.subscriptions.tiers import TIERS, TierName
from tests.billing.buyers import CARD, Buyer, Shop

STARTER, GROWTH = TIERS[TierName.STARTER], TIERS[TierName.GROWTH]
PACK = PACKS[PackName.SMALL]
REFUND_FAILS = CARD | {"cardNumber": "4000000000005126"}


async def clearing(buyer: Buyer) -> int:
    """What Stripe took for us of this client, in cents, by the ledger."""
    rows = await buyer.shop.database["transactions"].find({"book": f"client:{buyer.id}"}).to_list()
    return sum(
        leg["amount"] for row in rows for leg in row["legs"] if leg["account"] == "platform:stripe_clearing"
    )


async def test_a_late_look_pays_debts_with_what_came_after_them(shop: Shop) -> None:
    """A chargeback of spent credits, then a renewal: seen at once or after it, the renewal pays the debt."""
    left = []
    for in_time in (True, False):
        buyer = await shop.client(clock=True)
        await buyer.subscribe()
        await buyer.settle()
        await buyer.spend(400)
        await shop.control.open_dispute(await buyer.payment())
        if in_time:
            assert (await buyer.settle()).debt == 400
        await buyer.wait(32)
        await buyer.settle()
        balance = await buyer.balance()
        left.append((balance.available, balance.debt, [lot.amount for lot in balance.lots]))
    assert left == [(600, 0, [600])] * 2


async def test_credits_given_back_go_with_the_next_refund(shop: Shop) -> None:
    """A refund fails, its credits come again, and a second refund succeeds: neither money nor credits stay twice."""
    buyer = await shop.client(clock=True)
    await buyer.pay_page(await shop.pack(), card=REFUND_FAILS)
    await buyer.settle()
    payment = await buyer.payment()
    await shop.sdk.v1.refunds.create_async({"payment_intent": payment})
    await buyer.settle()
    assert (await buyer.balance()).available == 0
    await buyer.wait(1)
    await buyer.settle()
    assert ((await buyer.balance()).available, await clearing(buyer)) == (PACK.credits, PACK.price_cents)
    charge = (await shop.billing.list_charges(buyer.customer_id))[0]
    method = str((await shop.sdk.v1.charges.retrieve_async(charge.id)).payment_method)
    await shop.control.change_card(method, CARD["cardNumber"])
    await shop.sdk.v1.refunds.create_async({"payment_intent": payment})
    for _ in range(2):
        await buyer.settle()
    balance = await buyer.balance()
    assert (balance.available, balance.debt, await clearing(buyer)) == (0, 0, 0)


async def test_a_refund_of_credits_that_are_gone_is_in_the_books_all_the_same(shop: Shop) -> None:
    buyer = await shop.client(clock=True)
    await buyer.subscribe()
    await buyer.settle()
    grant = await shop.database["paid_grants"].find_one({"clientId": buyer.id})
    assert grant is not None
    await shop.credits.claw_back(
        buyer.id, grant["grantKey"], STARTER.credits_per_period, key=f"clawback:{buyer.id}", reason="by hand"
    )
    await shop.sdk.v1.refunds.create_async({"payment_intent": await buyer.payment()})
    for _ in range(2):
        await buyer.settle()
    balance = await buyer.balance()
    assert (balance.available, balance.debt, await clearing(buyer)) == (0, 0, 0)


async def test_a_downgrade_during_a_dispute_takes_its_share_when_the_dispute_is_won(shop: Shop) -> None:
    left = []
    for in_time in (True, False):
        buyer = await shop.client(clock=True)
        await buyer.subscribe(TierName.GROWTH)
        await buyer.settle()
        dispute = await shop.control.open_dispute(await buyer.payment())
        if in_time:
            await buyer.settle()
            assert (await buyer.balance()).available == 0
        await buyer.wait(5)
        await buyer.change(TierName.STARTER)
        if in_time:
            await buyer.settle()
        await shop.control.close_dispute(dispute, "won")
        for _ in range(2):
            await buyer.settle()
        balance = await buyer.balance()
        assert STARTER.credits_per_period < balance.available < GROWTH.credits_per_period
        left.append((balance.available, balance.debt))
    assert left[0] == left[1]


async def test_after_all_of_that_the_books_are_sound(shop: Shop) -> None:
    assert await verify(shop.database) == []
