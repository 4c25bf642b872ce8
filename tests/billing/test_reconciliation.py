"""The night compares what clients paid at Stripe with their books; what disagrees is settled by their own process."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
import stripe

from app.documents import utcnow
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.money.credits import Credits
from app.money.earnings import Earnings
from app.money.keys import invoice_grant_key
from app.money.verify import verify
from app.reconciliation.compare import Comparison
from app.reconciliation.models import Difference, DifferenceKind, RepairKind
from app.reconciliation.repairs import Repairs
from app.reconciliation.store import write_report
from app.settings import Settings
from app.subscriptions.packs import PackName
from app.subscriptions.settlement import Settlement
from app.subscriptions.tiers import TIERS, TierName
from devstack.stripe_sandbox.control import SandboxControl
from tests.billing.buyers import Shop
from tests.conftest import Database

ADMIN = "a" * 24


@pytest_asyncio.fixture
async def shop(
    fresh_database: Database, billing: StripeBilling, sdk: stripe.StripeClient, control: SandboxControl
) -> Shop:
    """What sells to clients, over a database of the test's own."""
    credits_ = Credits(fresh_database)
    return Shop(
        fresh_database, billing, sdk, control, credits_, Settlement(fresh_database, billing, credits_)
    )


async def night(shop: Shop, *, days: float = 2) -> tuple[str, list[Difference]]:
    """What a comparison finds so many days from now."""
    at = utcnow() + timedelta(days=days)
    payments = StripeGateway(f"sk_test_{new_id()}", api_base=shop.billing._api_base)  # nobody was paid
    comparison = Comparison(
        shop.database, payments, at=at, since=at - timedelta(days=35), billing=shop.billing
    )
    report = await comparison.run(new_id())
    await write_report(shop.database, report)
    await payments.close()
    return report.id, report.differences


async def mend(shop: Shop, report_id: str, number: int = 1) -> None:
    """Apply a repair; what it has done by the client's process is done here."""

    async def settle_billing(client_id: str) -> None:
        await shop.settlement.settle(client_id)

    async def try_payout(*_: object) -> None:
        raise AssertionError

    payments = StripeGateway("sk_test_x", api_base=shop.billing._api_base)
    earnings = Earnings(shop.database)
    repairs = Repairs(
        shop.database,
        payments,
        Settings(environment="test"),
        shop.credits,
        earnings,
        try_payout,
        settle_billing,
    )
    await repairs.apply(report_id, number, admin_id=ADMIN)
    await payments.close()


async def mended(shop: Shop) -> None:
    assert (await night(shop))[1] == []
    assert await verify(shop.database) == []


async def test_what_is_paid_and_not_granted_is_found_and_granted_once(shop: Shop) -> None:
    """Every event was lost, and nobody has looked."""
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.pay_page(await shop.pack(PackName.SMALL))
    assert (await night(shop, days=0))[1] == [], "what may be under way is not reported"
    report_id, found = await night(shop)
    assert [each.kind for each in found] == [DifferenceKind.PAID_WITHOUT_GRANT] * 2
    assert {(each.client_id, each.repair.kind) for each in found} == {(buyer.id, RepairKind.SETTLE_BILLING)}
    for number in (1, 2):
        await mend(shop, report_id, number)
    assert [kind for kind, _ in (await buyer.books())[3]] == ["credit_grant"] * 2
    await mended(shop)


@pytest.mark.parametrize("how", ["refund", "dispute"])
async def test_what_went_back_and_was_not_taken_back_is_found(shop: Shop, how: str) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.settle()
    if how == "refund":
        await shop.sdk.v1.refunds.create_async({"payment_intent": await buyer.payment()})
    else:
        await shop.control.open_dispute(await buyer.payment())
    report_id, (found,) = await night(shop)
    assert (found.kind, found.client_id) == (DifferenceKind.RETURNED_WITHOUT_CLAWBACK, buyer.id)
    await mend(shop, report_id)
    assert (await buyer.balance()).available == 0
    await mended(shop)


async def test_what_cannot_be_taken_back_since_it_has_lapsed_is_no_difference(shop: Shop) -> None:
    buyer = await shop.client()
    await buyer.subscribe()
    await buyer.settle()
    await shop.credits.claw_back(
        buyer.id,
        invoice_grant_key((await shop.billing.list_invoices(buyer.customer_id))[0].id),
        TIERS[TierName.STARTER].credits_per_period,
        key=f"clawback:{new_id()}",
        reason="by hand",
    )
    await shop.sdk.v1.refunds.create_async({"payment_intent": await buyer.payment()})
    await mended(shop)


async def test_a_grant_for_what_was_never_paid_is_left_to_an_admin(shop: Shop) -> None:
    """As by somebody with the database, or a defect of ours."""
    buyer = await shop.client(card=None)
    await Credits(shop.database).grant(buyer.id, 500, key=invoice_grant_key("in_nobody"), source="?")
    _, (found,) = await night(shop)
    assert (found.kind, found.repair.kind) == (DifferenceKind.GRANT_WITHOUT_PAYMENT, RepairKind.BY_HAND)
    assert "in_nobody" in found.detail


async def test_payments_of_nobody_here_and_invoices_that_do_not_fit_are_none_of_the_nights(
    shop: Shop,
) -> None:
    stranger = await shop.client()
    await stranger.subscribe()
    await shop.database["billing_customers"].delete_one({"_id": stranger.id})
    assert (await night(shop))[1] == []
