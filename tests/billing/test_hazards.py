"""The hazards of Stripe's billing, as other platforms have met them: each has a test that is named after it."""

from __future__ import annotations

import ast
import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.webhooks import WebhookActivities
from app.documents import utcnow
from app.gateways.payments import GatewayUnavailable
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.money.verify import verify
from app.settings import Settings
from app.subscriptions.customers import ensure_customer
from app.subscriptions.prices import tier_price
from app.subscriptions.tiers import TIERS, TierName
from devstack.stack import Stack
from tests.billing.buyers import Buyer
from tests.billing.house import PLATFORM, House, an_event, open_house, plain, signed
from tests.conftest import Database
from tests.stripe.processes import sandbox
from tests.support.http import until
from workflows.billing import Pulled, PullEvents

TESTS = Path(__file__).parents[1]
DAY = 86_400
ONE_PERIOD = (1000, 0, 0, [("credit_grant", 1000)])

# Each hazard of webhooks, billing and Connect, and the tests that answer it: `billing/hazards` is this file.
ANSWERED: dict[str, list[tuple[str, str]]] = {
    "duplicate delivery": [
        ("billing/hazards", "dj_stripe_1239_racing_deliveries_of_one_event_are_one_row"),
        ("billing/webhooks_api", "lago_no_event_id_a_delivery_that_is_repeated_is_one_row"),
    ],
    "insert ok, enqueue lost": [
        ("billing/webhooks_api", "polar_insert_ok_and_enqueue_lost_is_answered_503_and_taken_on_the_repeat"),
        (
            "billing/webhook_sweep",
            "lago_an_event_that_was_kept_and_never_handed_over_is_handed_over_by_a_clock",
        ),
    ],
    "out of order": [
        ("billing/webhooks_api", "every_order_of_the_first_events_ends_in_the_same_books"),
        ("billing/hazards", "polar_an_event_that_tells_of_an_older_state_is_not_believed"),
    ],
    "webhook before our own commit": [
        ("billing/webhooks_api", "an_event_that_came_before_our_own_note_of_the_customer"),
        ("payouts/accounts", "a_word_that_overtakes_our_own_write_is_not_lost"),
    ],
    "slow handler": [
        ("billing/hazards", "dj_stripe_a_slow_handler_does_not_hold_the_answer"),
    ],
    "forged or replayed": [
        ("billing/webhooks_api", "what_stripe_did_not_sign_is_refused_and_not_kept"),
        ("billing/webhooks_api", "polar_an_empty_secret_is_no_endpoint"),
        ("billing/hazards", "dj_stripe_the_tolerance_is_in_seconds"),
    ],
    "outage of more than three days": [
        ("billing/hazards", "stripe_gives_up_after_three_days_and_the_pull_brings_it"),
    ],
    "disabled endpoint": [
        ("billing/hazards", "stripe_does_not_call_undelivered_what_a_disabled_endpoint_missed"),
    ],
    "renewal timing": [
        ("billing/hazards", "a_renewal_is_granted_when_it_is_paid_and_not_when_its_period_begins"),
    ],
    "POST retried late": [
        ("billing/hazards", "stripe_prunes_keys_after_a_day_and_a_customer_is_found_again"),
        ("billing/hazards", "stripe_replays_a_saved_500_and_the_next_key_goes_on"),
        ("money/known_bugs", "stripe_keys_are_pruned_after_a_day_and_ours_never"),
        ("payouts/accounts", "stripe_replays_a_saved_500_and_the_next_key_opens_the_account"),
        ("payouts/bank", "a_crash_after_stripe_moved_the_money_finds_it_days_later"),
    ],
    "dedupe table pruned": [
        ("billing/hazards", "polar_events_are_purged_and_one_that_comes_again_grants_nothing"),
    ],
    "disputes hit the platform": [
        ("billing/settlement", "a_chargeback_of_spent_credits_is_a_debt_until_it_is_won"),
        ("workflows/completed_disputes", "pay_that_was_sent_comes_back_by_a_reversal"),
    ],
    "a reversal needs the destination's balance": [
        ("workflows/completed_disputes", "what_stripe_cannot_give_back_is_a_debt_that_later_pay_goes_to"),
    ],
    "a queued transfer races a cancel (Polar)": [
        ("workflows/completed_disputes", "a_ruling_finds_a_transfer_that_is_on_its_way"),
    ],
    "two partial reversals clash (Polar)": [
        ("money/known_bugs", "polar_two_partial_reversals_of_one_transfer_do_not_clash"),
        ("payouts/reconciliation", "polar_two_equal_reversals_of_one_transfer_both_reach_stripe"),
    ],
    "one payout per interval (Polar)": [
        ("payouts/bank", "racing_runs_pay_once_in_a_period_and_never_more_than_there_is"),
    ],
    "a payout's failure that nobody handles (Polar 11091)": [
        ("payouts/bank", "what_the_bank_sends_back_is_told_and_goes_out_with_the_next_payout"),
    ],
    "a job can be paid only once (Mercur)": [
        ("money/known_bugs", "mercur_a_job_can_be_paid_more_than_once"),
    ],
    "any refund is a whole one (Sharetribe)": [
        ("billing/hazards", "sharetribe_a_refund_may_be_partial_and_equal_parts_all_count"),
    ],
    "refund events that nobody listens to (dj-stripe)": [
        ("billing/event_types", "the_reference_is_covered_by_name"),
        ("billing/webhooks_api", "a_refund_and_a_dispute_find_their_client_by_the_payment"),
    ],
}


def test_every_hazard_has_its_tests() -> None:
    for hazard, tests in ANSWERED.items():
        for place, test in tests:
            folder, _, name = place.partition("/")
            tree = ast.parse((TESTS / folder / f"test_{name}.py").read_text())
            found = {
                node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert f"test_{test}" in found, f"{hazard}: {place}, {test}"


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack,
    temporal: Client,
    database: Database,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[House]:
    """A platform at a Stripe of its own, whose clock may be moved."""
    stack.require("mongodb", "redis", "s3", "temporal")
    service = sandbox(tmp_path_factory.mktemp("stripe"))
    service.start()
    async with open_house(temporal, database, settings, stripe_api_base=service.base_url) as made:
        yield made
    service.stop()


async def bought(house: House, kind: str = "invoice.paid") -> tuple[Buyer, dict[str, Any]]:
    """A client who has paid, and one of the events of it."""
    buyer = await house.shop.client(card=None)
    await buyer.pay_page(await house.shop.price(TierName.STARTER))
    (event,) = [event for event in await house.events_of(buyer) if event["type"] == kind]
    return buyer, event


async def pull(house: House, **later: float) -> Pulled:
    """The next page of Stripe's list, up to a moment."""
    resources, at = house.harness.resources, utcnow() + timedelta(**later)
    own = WebhookActivities(
        house.database, house.shop.billing, client=resources.client, settings=house.settings
    )
    page: Pulled = await ActivityEnvironment().run(own.pull_events, PullEvents(at=at, until=at))
    return page


async def test_dj_stripe_1239_racing_deliveries_of_one_event_are_one_row(house: House) -> None:
    """It asked whether the row was there and then inserted it: two at once both worked on the event."""
    buyer, event = await bought(house)
    answers = await asyncio.gather(*(house.deliver(event) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    await house.settled(event["id"])
    assert (await house.row(event["id"]))["deliveries"] == 10
    assert await buyer.books() == ONE_PERIOD
    await house.end(buyer)


async def test_polar_an_event_that_tells_of_an_older_state_is_not_believed(house: House) -> None:
    """The dispute is won and closed; the event that it was opened comes last, and takes nothing."""
    buyer, event = await bought(house)
    await house.deliver(event)
    await house.settled(event["id"])
    control = house.shop.control
    await control.close_dispute(await control.open_dispute(await buyer.payment()), "won")
    pages = await house.shop.sdk.v1.events.list_async({"type": "charge.dispute.*", "limit": 100})
    payment = await buyer.payment()
    told = [each for each in map(plain, pages.data) if each["data"]["object"]["payment_intent"] == payment]
    assert told[-1]["type"] == "charge.dispute.created"
    for each in told:  # newest first
        assert (await house.deliver(each)).status_code == 200
    await house.settled(*(each["id"] for each in told))
    assert (await buyer.balance()).available == TIERS[TierName.STARTER].credits_per_period
    assert (await buyer.balance()).debt == 0
    await house.end(buyer)


async def test_dj_stripe_a_slow_handler_does_not_hold_the_answer(house: House) -> None:
    """Its receivers ran within the request, so Stripe's own slowness made Stripe send the event again."""
    buyer, event = await bought(house)
    await house.shop.control.add_fault(method="GET", path="/v1/subscriptions*", delay_seconds=3)
    begun = time.monotonic()
    assert (await house.deliver(event)).json() == {"status": "handed"}
    assert time.monotonic() - begun < 3
    assert (await house.row(event["id"]))["status"] == "handed"
    await house.settled(event["id"])
    assert await buyer.books() == ONE_PERIOD
    await house.end(buyer)


async def test_dj_stripe_the_tolerance_is_in_seconds(house: House) -> None:
    """Its setting was said to be in milliseconds, so five minutes could be taken for a third of a second."""
    body = json.dumps(an_event("charge.pending", {"id": "ch_1", "object": "charge"}))
    now = int(time.time())
    assert (await house.post(body, signed(body, PLATFORM, at=now - 280))).status_code == 200
    assert (await house.post(body, signed(body, PLATFORM, at=now - 301))).status_code == 400


@pytest.mark.parametrize(
    ("amount", "currency"), [(0, "usd"), (-24_900, "usd"), (0.5, "usd"), (10**30, "usd"), (24_900, "eur")]
)
async def test_amounts_that_an_event_claims_move_no_books(house: House, amount: Any, currency: str) -> None:
    buyer = await house.shop.client()
    claim = {"object": "invoice", "customer": buyer.customer_id, "status": "paid"}
    event = an_event(
        "invoice.paid", {"id": "in_x", **claim, "amount_paid": amount, "total": amount, "currency": currency}
    )
    assert (await house.deliver(event)).status_code == 200
    await house.settled(event["id"])
    assert (await buyer.books())[3] == []


async def test_a_renewal_is_granted_when_it_is_paid_and_not_when_its_period_begins(house: House) -> None:
    """Its invoice is a draft for an hour: whoever grants on `customer.subscription.updated` has not been paid."""
    buyer = await house.shop.client(clock=True)
    await buyer.subscribe()
    await buyer.settle()
    period_end = (await buyer.subscription()).period_end.timestamp()
    await buyer.wait((period_end + 1_800 - buyer.now) / DAY)
    assert (await buyer.subscription()).period_start.timestamp() == period_end
    await buyer.settle()
    assert (await buyer.books())[3] == [("credit_grant", 1000)]
    await buyer.wait(3_600 / DAY)
    await buyer.settle()
    assert [kind for kind, _ in (await buyer.books())[3]].count("credit_grant") == 2


async def test_sharetribe_a_refund_may_be_partial_and_equal_parts_all_count(house: House) -> None:
    """Any refund was of the whole; and a key of the charge alone would take the second part for the first."""
    buyer, event = await bought(house)
    await house.deliver(event)
    await house.settled(event["id"])
    price = TIERS[TierName.STARTER].price_cents
    for number in (1, 2):
        await house.shop.sdk.v1.refunds.create_async(
            {"payment_intent": await buyer.payment(), "amount": price // 4}
        )
        await buyer.settle()
        await buyer.settle()
        assert (await buyer.balance()).available == 1000 - 250 * number
    await house.end(buyer)


async def test_polar_events_are_purged_and_one_that_comes_again_grants_nothing(house: House) -> None:
    """It forgets events after 30 days, and knew of no other key; the ledger's own are for ever."""
    buyer, event = await bought(house)
    for _ in range(2):
        await house.deliver(event)
        await house.settled(event["id"])
        await house.database["webhook_events"].delete_one({"_id": event["id"]})
        await house.database["paid_grants"].delete_many({"clientId": buyer.id})
    assert await buyer.books() == ONE_PERIOD
    await house.end(buyer)


async def test_stripe_replays_a_saved_500_and_the_next_key_goes_on(house: House) -> None:
    """A failure while executing is the answer to its key for a day, for which nobody could subscribe."""
    client_id, email = new_id(), f"{new_id()}@example.com"
    own = StripeBilling(f"sk_test_{new_id()}", api_base=house.settings.stripe_api_base)
    for path in ("/v1/customers", "/v1/prices"):
        await house.shop.control.add_fault(method="POST", path=path, status=500, remembered=True)
    with pytest.raises(GatewayUnavailable):
        await ensure_customer(house.database, own, client_id, email)
    with pytest.raises(GatewayUnavailable):
        await own.ensure_price(tier_price(TIERS[TierName.STARTER]))
    customer_id = await ensure_customer(house.database, own, client_id, email)
    assert await own.find_customer(client_id, email) == customer_id
    assert len((await own._stripe.v1.customers.list_async({"email": email})).data) == 1
    price = await own.ensure_price(tier_price(TIERS[TierName.STARTER]))
    assert price.unit_cents == TIERS[TierName.STARTER].price_cents
    await own.close()


async def test_stripe_does_not_call_undelivered_what_a_disabled_endpoint_missed(house: House) -> None:
    """To an endpoint that is disabled nothing is tried, so nothing fails; what never came is pulled all the same."""
    key, sdk = house.settings.stripe_api_key.get_secret_value(), house.shop.sdk
    endpoint, _ = await house.shop.control.add_webhook(key, "http://127.0.0.1:9/")
    await sdk.v1.webhook_endpoints.update_async(endpoint, {"disabled": True})
    buyer, event = await bought(house)
    failed = await sdk.v1.events.list_async({"delivery_success": False, "limit": 100})
    assert event["id"] not in {each.id for each in failed.data}
    while (await pull(house)).has_more:
        pass
    await house.settled(event["id"])
    assert await buyer.books() == ONE_PERIOD
    await house.end(buyer)


class _DiesAfterCreation(StripeBilling):
    async def create_customer(self, *args: Any, **kwargs: Any) -> str:
        await super().create_customer(*args, **kwargs)
        raise RuntimeError("died after the customer was made")


async def test_stripe_prunes_keys_after_a_day_and_a_customer_is_found_again(house: House) -> None:
    """The same key made a second customer once Stripe had forgotten the first."""
    client_id, email = new_id(), f"{new_id()}@example.com"
    dying = _DiesAfterCreation.from_settings(house.settings)
    with pytest.raises(RuntimeError):
        await ensure_customer(house.database, dying, client_id, email)
    await dying.close()
    await house.shop.control.advance_clock(25 * 3_600)
    customer_id = await ensure_customer(house.database, house.shop.billing, client_id, email)
    made = await house.shop.sdk.v1.customers.list_async({"email": email})
    assert [each.id for each in made.data] == [customer_id]


async def test_stripe_gives_up_after_three_days_and_the_pull_brings_it(house: House) -> None:
    """We were away for longer than Stripe tries; for thirty days it still knows."""
    key, control = house.settings.stripe_api_key.get_secret_value(), house.shop.control
    await control.add_webhook(key, "http://127.0.0.1:9/")
    buyer, event = await bought(house)
    await control.advance_clock(4 * DAY)
    await control.flush(key)

    async def states() -> set[str]:
        return {str(each["state"]) for each in await control.deliveries(key, event=event["id"])}

    await until(states, lambda found: found == {"failed"}, "the end of Stripe's tries")
    assert (await buyer.books())[3] == []
    while (await pull(house, days=6)).has_more:
        pass
    await house.settled(event["id"])
    assert await buyer.books() == ONE_PERIOD
    await house.end(buyer)


async def test_after_all_of_that_the_books_are_sound(house: House) -> None:
    assert await verify(house.database) == []
