"""Two things at once over one subscription: a delivery and an act at the door, and an end and a payment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.billing import BillingActivities
from app.gateways.payments import InvalidPaymentRequest
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.money.verify import verify
from app.settings import Settings
from app.subscriptions.billing_state import BillingState
from app.subscriptions.tiers import TIERS, TierName
from devstack.stack import Stack
from tests.billing.buyers import Buyer
from tests.billing.house import House, open_house
from tests.conftest import Database
from tests.stripe import billing as stripe_billing
from workflows.billing import Suspended, SuspendSubscription, hand_to_client

STARTER = TIERS[TierName.STARTER]


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[House]:
    stack.require("mongodb", "redis", "s3", "stripe", "temporal")
    async with open_house(temporal, database, settings) as made:
        yield made


async def owing(house: House) -> tuple[Buyer, BillingState]:
    """A client whose renewal was declined."""
    buyer = await house.shop.client(clock=True)
    await buyer.subscribe()
    await stripe_billing.use_card(house.shop.sdk, buyer.customer_id, "pm_card_chargeCustomerFail")
    await buyer.wait(32)
    state: BillingState = await buyer.settle()
    assert state.is_owing
    return buyer, state


async def pay(house: House, buyer: Buyer, state: BillingState) -> None:
    assert state.owed_invoice_id is not None
    await stripe_billing.use_card(house.shop.sdk, buyer.customer_id, "pm_card_visa")
    await house.shop.sdk.v1.invoices.pay_async(state.owed_invoice_id)


async def suspend(house: House, state: BillingState, billing: StripeBilling | None = None) -> Suspended:
    """As the workflow does when the grace period is over."""
    resources = house.harness.resources
    own = BillingActivities(
        house.database,
        billing or house.shop.billing,
        resources.payments,
        resources.credits,
        client=resources.client,
        settings=house.settings,
    )
    request = SuspendSubscription(
        client_id=state.client_id,
        subscription_id=state.subscription_id or "",
        invoice_id=state.owed_invoice_id or "",
    )
    suspended: Suspended = await ActivityEnvironment().run(own.suspend_subscription, request)
    return suspended


class _Meanwhile(StripeBilling):
    """Something happens between our look and the end that follows from it."""

    happens: Callable[[], Awaitable[None]]

    async def cancel_now(self, subscription_id: str, *, idempotency_key: str) -> None:
        await self.happens()
        await super().cancel_now(subscription_id, idempotency_key=idempotency_key)


async def test_a_delivery_and_an_act_at_the_door_at_once_lose_neither(house: House) -> None:
    """Every event of a first payment, twice, while the client sets the end: one grant, and the end is on record."""
    buyer = await house.shop.client(card=None)
    await buyer.pay_page(await house.shop.price(TierName.STARTER))
    events = await house.events_of(buyer)

    async def set_end() -> None:
        made = await buyer.subscription()
        await house.shop.billing.set_cancel_at_period_end(made.id, wanted=True, idempotency_key=new_id())
        await hand_to_client(house.harness.resources.client, house.settings, buyer.id, None)

    ending = asyncio.create_task(set_end())
    answers = await asyncio.gather(*(house.deliver(event) for event in [*events, *events]))
    await ending
    assert {answer.status_code for answer in answers} == {200}
    await house.settled(*(event["id"] for event in events))
    await hand_to_client(house.harness.resources.client, house.settings, buyer.id, None)
    view = await house.view(buyer)
    await house.end(buyer)
    assert view.settled_events >= 1
    await buyer.settle()
    assert (await buyer.document())["cancelAtPeriodEnd"] is True
    assert (await buyer.balance()).available == STARTER.credits_per_period
    assert (await buyer.notices()).count("subscription.credits_granted") == 1


async def test_what_is_paid_before_the_end_is_not_ended(house: House) -> None:
    buyer, state = await owing(house)
    await pay(house, buyer, state)
    assert (await suspend(house, state)).suspended is False
    assert (await buyer.settle()).status == "active"
    assert "subscription.suspended" not in await buyer.notices()


async def test_what_is_paid_in_the_moment_of_the_end_is_granted_once(house: House) -> None:
    """Stripe cannot be asked to end it only if it still owes: the client has left, and has what was paid for."""
    buyer, state = await owing(house)
    billing = _Meanwhile.from_settings(house.settings)
    billing.happens = lambda: pay(house, buyer, state)
    assert (await suspend(house, state, billing)).suspended is True
    await billing.close()
    for _ in range(2):
        assert (await buyer.settle()).status == "canceled"
    assert [kind for kind, _ in (await buyer.books())[3]] == ["credit_grant", "credit_grant"]


async def test_what_stripe_has_ended_in_that_moment_is_told_once(house: House) -> None:
    buyer, state = await owing(house)
    billing = _Meanwhile.from_settings(house.settings)

    async def ended() -> None:
        await house.shop.billing.cancel_now(state.subscription_id or "", idempotency_key=new_id())

    billing.happens = ended
    assert (await suspend(house, state, billing)).suspended is True
    await billing.close()
    assert (await suspend(house, state)).suspended is True, "a repeat has the first answer"
    assert (await buyer.notices()).count("subscription.suspended") == 1


async def test_who_dies_between_the_end_and_the_telling_tells_it_the_next_time(house: House) -> None:
    buyer, state = await owing(house)
    ended = state.subscription_id or ""
    await house.shop.billing.cancel_now(ended, idempotency_key=f"suspend:{ended}")
    for _ in range(2):
        assert (await suspend(house, state)).suspended is True
    assert (await buyer.notices()).count("subscription.suspended") == 1


async def test_an_end_that_stripe_refuses_is_tried_again_and_told_of_when_it_is_true(house: House) -> None:
    buyer, state = await owing(house)

    async def refuse() -> None:
        raise InvalidPaymentRequest("not now", code="test")

    billing = _Meanwhile.from_settings(house.settings)
    billing.happens = refuse
    with pytest.raises(InvalidPaymentRequest):
        await suspend(house, state, billing)
    await billing.close()
    assert "subscription.suspended" not in await buyer.notices()
    assert (await suspend(house, state)).suspended is True
    assert (await buyer.notices()).count("subscription.suspended") == 1
    assert (await buyer.settle()).status == "canceled"


async def test_after_all_of_that_the_books_are_sound(house: House) -> None:
    assert await verify(house.database) == []
