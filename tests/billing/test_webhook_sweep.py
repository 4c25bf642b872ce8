"""What never came, and what was left lying between the inbox and the workflows, gets there in the end."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.testing import ActivityEnvironment

from activities.webhooks import WebhookActivities
from app.documents import utcnow
from app.gateways.payments import GatewayUnavailable
from app.gateways.stripe_billing import StripeBilling
from app.ids import new_id
from app.settings import Settings
from app.subscriptions.tiers import TierName
from app.webhooks import inbox, pulls
from app.webhooks.models import PLATFORM_PULL, EventFacts, WebhookEndpoint
from devstack.stack import Stack
from tests.billing.buyers import Buyer
from tests.billing.house import House, an_event, open_house
from tests.conftest import Database
from tests.support.http import until
from tests.support.time_skipping import skipping_server
from tests.workflows.followers_support import insert_worker, unique_queue, worker
from workflows.billing import (
    WEBHOOK_SWEEP_WORKFLOW,
    EventsRetried,
    PullAccounts,
    Pulled,
    PullEvents,
    WebhookSweepInput,
    WebhookSweepResult,
    stripe_event_workflow_id,
)
from workflows.contracts import TaskQueue, task_queue
from workflows.webhooks import WebhookSweepWorkflow, ensure_webhook_sweep, webhook_sweep_schedule_id

NOWHERE = "http://127.0.0.1:9/"
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[House]:
    """A platform both of whose endpoints never hear anything: every delivery is dropped."""
    stack.require("mongodb", "redis", "s3", "stripe", "temporal")
    async with open_house(temporal, database, settings) as made:
        key = made.settings.stripe_api_key.get_secret_value()
        for connect in (False, True):
            await made.shop.control.add_webhook(key, NOWHERE, connect=connect)
        await made.shop.control.set_delivery(key, drop=1.0)
        yield made


async def sweep(house: House, **given: Any) -> WebhookSweepResult:
    """One sweep, of events however young."""
    result: WebhookSweepResult = await house.harness.resources.client.execute_workflow(
        WEBHOOK_SWEEP_WORKFLOW,
        WebhookSweepInput(grace_seconds=0, **given),
        id=f"webhook-sweep-{uuid.uuid4().hex}",
        task_queue=task_queue(TaskQueue.NOTIFY, house.settings.task_queue_prefix),
        result_type=WebhookSweepResult,
    )
    return result


def activities(house: House) -> WebhookActivities:
    resources = house.harness.resources
    return WebhookActivities(
        house.database, house.shop.billing, client=resources.client, settings=house.settings
    )


async def pull(house: House, at: datetime | None = None) -> Pulled:
    """One page, as an attempt of the activity."""
    at = at or utcnow()
    own = activities(house)
    page: Pulled = await ActivityEnvironment().run(own.pull_events, PullEvents(at=at, until=at))
    return page


async def pull_all(house: House) -> Pulled:
    """Every page up to now."""
    result = Pulled(has_more=True)
    while result.has_more:
        result.add(await pull(house))
    return result


async def bought(house: House) -> Buyer:
    """A client who has paid, of which we have heard nothing."""
    buyer = await house.shop.client(card=None)
    await buyer.pay_page(await house.shop.price(TierName.STARTER))
    assert (await buyer.books())[3] == []
    return buyer


async def granted(buyer: Buyer) -> None:
    """Wait for the credits; they came once."""
    await until(buyer.books, lambda books: bool(books[3]), "the credits")
    assert await buyer.books() == (1000, 0, 0, [("credit_grant", 1000)])


async def events_of(house: House, buyer: Buyer) -> list[str]:
    """The ids of all that has happened at Stripe so far."""
    return [event["id"] for event in await house.events_of(buyer)]


async def test_events_that_were_dropped_are_pulled_and_granted_once(house: House) -> None:
    buyer = await bought(house)
    events = await events_of(house, buyer)
    first = await sweep(house)
    assert first.pulled.new > 0
    await granted(buyer)
    await house.settled(*events)
    assert {(await house.row(event))["endpoint"] for event in events} == {"stripe"}
    second = await sweep(house)
    assert (second.pulled.new, second.unanswered) == (0, False)
    assert await buyer.books() == (1000, 0, 0, [("credit_grant", 1000)])
    told = await house.database["outbox"].find({"template": "billing.webhooks"}).to_list()
    assert [row["context"]["undelivered"] for row in told] == [first.pulled.new]
    await house.end(buyer)


async def test_a_late_delivery_of_what_was_pulled_changes_nothing(house: House) -> None:
    buyer = await bought(house)
    events = await house.events_of(buyer)
    await sweep(house)
    await granted(buyer)
    await house.settled(*(event["id"] for event in events))
    for event in events:
        assert (await house.deliver(event)).json()["status"] in {"handled", "ignored"}
    assert await buyer.books() == (1000, 0, 0, [("credit_grant", 1000)])
    await house.end(buyer)


async def test_events_within_the_grace_are_left_to_come_by_themselves(house: House) -> None:
    buyer = await bought(house)
    now = utcnow()
    await house.database["webhook_pulls"].update_one({"_id": "platform"}, {"$set": {"pulledTo": now - HOUR}})
    await ActivityEnvironment().run(
        activities(house).pull_events, PullEvents(at=now, until=now - timedelta(minutes=5))
    )
    events = await events_of(house, buyer)
    assert await house.database["webhook_events"].count_documents({"_id": {"$in": events}}) == 0
    await sweep(house)
    await granted(buyer)
    await house.end(buyer)


async def test_a_pull_goes_page_by_page_and_one_that_was_broken_off_goes_on_where_it_was(
    house: House,
) -> None:
    await sweep(house)
    made = [
        (await house.shop.sdk.v1.customers.create_async({"email": f"{number}@example.com"})).id
        for number in range(110)
    ]
    at = utcnow()
    first = await pull(house, at)
    assert (first.ignored, first.has_more) == (100, True)
    await house.shop.sdk.v1.customers.create_async({"email": "late@example.com"})
    second = await pull(house, utcnow() + HOUR)  # of another sweep, after a crash
    assert (second.ignored, second.has_more) == (10, True), "its own is still to come"
    rows = await house.database["webhook_events"].find({"facts.objectId": {"$in": made}}).to_list()
    assert sorted(row["facts"]["objectId"] for row in rows) == sorted(made)
    assert {row["deliveries"] for row in rows} == {1}
    assert (await pull_all(house)).ignored == 1  # the late one


async def test_a_page_after_an_event_that_stripe_has_forgotten_begins_the_pull_again(house: House) -> None:
    buyer = await bought(house)
    begun = await pulls.begin(house.database, PLATFORM_PULL, at=utcnow(), until=utcnow())
    await pulls.note_page(house.database, begun, "evt_forgotten")
    assert (await pull(house)).has_more
    assert (await pull_all(house)).new > 0
    await granted(buyer)
    await house.end(buyer)


async def test_a_crash_between_keeping_a_page_and_noting_it_grants_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = await bought(house)

    async def dies(*_: Any) -> None:
        raise ConnectionError("the process is gone")

    with monkeypatch.context() as broken:
        broken.setattr(pulls, "note_page", dies)
        broken.setattr(pulls, "note_end", dies)
        with pytest.raises(ConnectionError):
            await pull(house)
    again = await pull_all(house)
    assert again.new == 0
    assert again.known > 0
    await granted(buyer)
    await house.end(buyer)


async def test_two_pulls_at_once_move_the_cursor_once(house: House) -> None:
    database, owner, at = house.database, f"acct_{new_id()}", utcnow()
    one = await pulls.begin(database, owner, at=at, until=at)
    other = await pulls.begin(database, owner, at=at, until=at + HOUR)
    assert (other.until, other.pulled_to) == (one.until, at - timedelta(days=30))
    await pulls.note_end(database, one)
    await pulls.note_page(database, other, "evt_1")  # it was slower: the pull is over
    assert await pulls.pulled_to(database, owner) == at
    much_later = at + timedelta(days=90)  # nobody swept meanwhile: what Stripe has forgotten is not asked for
    begun = await pulls.begin(database, owner, at=much_later, until=much_later)
    assert begun.pulled_to == much_later - timedelta(days=30)


async def test_an_outage_of_stripe_is_sat_out_and_nothing_is_skipped(house: House) -> None:
    buyer = await bought(house)
    await house.shop.control.add_fault(method="GET", path="/v1/events", status=500, times=1)
    with pytest.raises(GatewayUnavailable):
        await pull(house)
    assert (await pull_all(house)).new > 0
    await granted(buyer)
    await house.end(buyer)


async def test_a_stripe_that_stays_away_does_not_keep_the_rest_waiting(house: House) -> None:
    """On a clock that skips: after five minutes the sweep gives the pull up, and says so."""
    nobody = StripeBilling("sk_test_x", api_base="http://127.0.0.1:9")
    own = WebhookActivities(
        house.database, nobody, client=house.harness.resources.client, settings=house.settings
    )
    queue = unique_queue("notify")
    run: list[Any] = [
        own.retry_events,
        own.pull_events,
        own.pull_accounts,
        own.tell_of_webhooks,
        own.purge_events,
    ]
    async with (
        skipping_server() as environment,
        worker(environment.client, queue, [WebhookSweepWorkflow], run),
    ):
        result: WebhookSweepResult = await environment.client.execute_workflow(
            WEBHOOK_SWEEP_WORKFLOW,
            WebhookSweepInput(),
            id=f"webhook-sweep-{uuid.uuid4().hex}",
            task_queue=queue,
            result_type=WebhookSweepResult,
        )
    await nobody.close()
    assert result.unanswered


async def kept(house: House, event: dict[str, Any], **fields: Any) -> str:
    """An event in the inbox, as a crash has left it."""
    found = event["data"]["object"]
    facts = EventFacts(
        id=event["id"],
        type=event["type"],
        created_at=utcnow(),
        object_id=found["id"],
        customer_id=found.get("customer"),
        payment_id=found.get("payment_intent"),
    )
    await inbox.take_in(house.database, facts, WebhookEndpoint.PLATFORM)
    await house.database["webhook_events"].update_one({"_id": facts.id}, {"$set": fields})
    return facts.id


async def retry(house: House) -> EventsRetried:
    result: EventsRetried = await ActivityEnvironment().run(activities(house).retry_events, utcnow())
    return result


async def test_lago_an_event_that_was_kept_and_never_handed_over_is_handed_over_by_a_clock(
    house: House,
) -> None:
    """Insert ok, enqueue lost. Polar's rows stayed until somebody sent them again by hand."""
    buyer = await bought(house)
    event = an_event("invoice.paid", {"id": "in_1", "customer": buyer.customer_id})
    await kept(house, event)
    assert (await retry(house)).stuck == 0  # it may be under way
    before = utcnow() - timedelta(minutes=6)
    await house.database["webhook_events"].update_one({"_id": event["id"]}, {"$set": {"receivedAt": before}})
    assert (await retry(house)).stuck == 1
    await house.settled(event["id"])
    await granted(buyer)
    assert (await retry(house)).stuck == 0
    await house.end(buyer)


async def test_an_event_whose_subscription_was_ended_from_outside_is_handed_over_again(house: House) -> None:
    """Temporal had it, and whoever had it is gone: nobody but the inbox knows."""
    buyer = await bought(house)
    event = an_event("invoice.paid", {"id": "in_1", "customer": buyer.customer_id})
    await kept(house, event, status="handed", handedAt=utcnow() - HOUR)
    first = await retry(house)
    assert (first.stuck, first.unhandled, first.hopeless) == (0, 1, 0)
    await house.settled(event["id"])
    await granted(buyer)
    assert (await retry(house)).unhandled == 0
    assert (await house.row(event["id"]))["retries"] == 1
    await house.end(buyer)


async def test_an_event_that_went_by_the_router_is_routed_again(house: House) -> None:
    """Its router had ended well, so its id was taken; the subscription that it told was ended before it looked."""
    buyer = await bought(house)
    events = await events_of(house, buyer)
    await sweep(house)
    await house.settled(*events)
    await house.end(buyer)
    refund = an_event("refund.created", {"id": "re_1", "payment_intent": await buyer.payment()})
    client = house.harness.resources.client
    await house.deliver(refund)
    await client.get_workflow_handle(stripe_event_workflow_id(refund["id"])).result()
    await house.settled(refund["id"])
    lost = {"status": "handed", "handedAt": utcnow() - HOUR, "handledAt": None}
    await house.database["webhook_events"].update_one({"_id": refund["id"]}, {"$set": lost})
    await house.shop.sdk.v1.refunds.create_async({"payment_intent": await buyer.payment()})
    assert (await retry(house)).unhandled == 1
    await house.settled(refund["id"])
    assert (await buyer.balance()).available == 0
    await house.end(buyer)


async def test_what_is_not_handled_after_many_tries_is_told(house: House) -> None:
    event = an_event("invoice.paid", {"id": "in_1", "customer": "cus_nobody"})
    await kept(house, event, status="handed", handedAt=utcnow() - HOUR, retries=10)
    await house.database["outbox"].delete_many({"template": "billing.webhooks"})
    assert (await sweep(house)).retried.hopeless == 1
    (told,) = await house.database["outbox"].find({"template": "billing.webhooks"}).to_list()
    assert told["context"]["unhandled"] == 1


async def test_connected_accounts_are_pulled_each_with_its_own_events(house: House) -> None:
    payments, control = house.harness.resources.payments, house.shop.control
    accounts = {}
    for _ in range(3):
        worker_id = await insert_worker(house.database)
        account = await payments.create_recipient_account(
            worker_id, f"{worker_id}@example.com", idempotency_key=worker_id
        )
        accounts[worker_id] = account.id
        await house.database["users"].update_one(
            {"_id": worker_id}, {"$set": {"workerProfile.stripeAccountId": account.id}}
        )
        await control.complete_onboarding(account.id)
    left = list(accounts)[1]
    await control.deauthorize(accounts[left])
    first = await sweep(house)
    assert (first.accounts, first.gone, first.unanswered) == (3, 1, False)
    query = {"endpoint": "stripe-connect", "type": "account.updated"}
    rows = await house.database["webhook_events"].find(query).to_list()
    assert {row["facts"]["account"] for row in rows} >= {
        account for worker_id, account in accounts.items() if worker_id != left
    }
    await house.settled(*(row["_id"] for row in rows))
    for worker_id in set(accounts) - {left}:
        user = await house.database["users"].find_one({"_id": worker_id})
        assert user is not None
        assert user["workerProfile"]["payoutAccount"]["transfersActive"]
    assert (await sweep(house)).accounts == 0  # within the hour
    last = await sweep(house, accounts_every_seconds=0)
    assert (last.accounts, last.gone, last.pulled.new) == (3, 1, 0)


async def test_accounts_are_pulled_batch_by_batch(house: House) -> None:
    """A batch ends where the next begins, and an account that Stripe does not know stops nobody."""
    for _ in range(52):
        await insert_worker(house.database, stripeAccountId=f"acct_{new_id()}")
    at = utcnow()
    request = PullAccounts(at=at, until=at, every_seconds=0)
    seen, last, batches = 0, "", 0
    while True:
        page = await ActivityEnvironment().run(
            activities(house).pull_accounts, request.model_copy(update={"after": last})
        )
        seen += page.accounts
        if page.last is None:
            break
        assert page.last > last
        last, batches = page.last, batches + 1
    assert (seen >= 52, batches) == (True, 2)
    await house.database["users"].delete_many({"role": "worker"})


async def test_the_inbox_forgets_what_is_settled_and_old_and_nothing_else(house: House) -> None:
    old, recent = utcnow() - timedelta(days=91), utcnow() - timedelta(days=89)
    wanted = {
        ("handled", old): False,
        ("ignored", old): False,
        ("received", old): True,
        ("handed", old): True,
        ("handled", recent): True,
    }
    names = {}
    for status, at in wanted:
        event = an_event("charge.pending", {"id": "ch_1"})
        names[status, at] = await kept(house, event, status=status, receivedAt=at, handedAt=utcnow())
    assert await ActivityEnvironment().run(activities(house).purge_events, utcnow()) == 2
    for key, name in names.items():
        found = await house.database["webhook_events"].find_one({"_id": name})
        assert (found is not None) == wanted[key], key
    await house.database["webhook_events"].delete_many({"_id": {"$in": list(names.values())}})


async def test_the_schedule_is_made_once_and_stays_as_an_operator_left_it(temporal: Client) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    handle = temporal.get_schedule_handle(webhook_sweep_schedule_id(prefix))
    try:
        await ensure_webhook_sweep(temporal, prefix)
        await handle.pause(note="an operator looks into it")
        await ensure_webhook_sweep(temporal, prefix)
        schedule = (await handle.describe()).schedule
        assert schedule.spec.intervals[0].every == timedelta(minutes=10)
        assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert (schedule.state.paused, schedule.state.note) == (True, "an operator looks into it")
    finally:
        await handle.delete()
