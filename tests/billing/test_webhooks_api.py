"""Stripe's deliveries at the door: verified, kept once, handed to Temporal, and only then answered with 200."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.client import Client

from app.ids import new_id
from app.money.verify import verify
from app.settings import Settings
from app.subscriptions.tiers import TIERS, TierName
from devstack.stack import Stack
from tests.billing.house import (
    CONNECT,
    CONNECT_HOOK,
    HOOK,
    PLATFORM,
    House,
    an_event,
    open_house,
    plain,
    signed,
)
from tests.conftest import Database
from tests.support.http import until

STARTER = TIERS[TierName.STARTER]
FIRST = (
    "checkout.session.completed",
    "customer.subscription.created",
    "invoice.paid",
    "invoice.payment_succeeded",
)


@pytest_asyncio.fixture(scope="module")
async def house(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[House]:
    stack.require("mongodb", "redis", "s3", "stripe", "temporal")
    async with open_house(temporal, database, settings) as made:
        yield made


async def bought(house: House) -> tuple[Any, list[dict[str, Any]]]:
    """A client who has just paid on the page, and the events of it."""
    buyer = await house.shop.client(card=None)
    await buyer.pay_page(await house.shop.price(TierName.STARTER))
    events = [event for event in await house.events_of(buyer) if event["type"] in FIRST]
    assert {event["type"] for event in events} == set(FIRST)
    return buyer, sorted(events, key=lambda event: FIRST.index(event["type"]))


async def test_a_paid_checkout_reaches_the_books(house: House) -> None:
    buyer, events = await bought(house)
    for event in events:
        answer = await house.deliver(event)
        assert (answer.status_code, answer.json()) == (200, {"status": "handed"})
    await house.settled(*(event["id"] for event in events))
    assert (await buyer.balance()).available == STARTER.credits_per_period
    assert (await buyer.document())["status"] == "active"
    view = await house.view(buyer)
    assert (view.billing.status, view.settled_events) == ("active", 4)
    row = await house.row(events[0]["id"])
    assert "object" not in row
    assert buyer.id not in json.dumps(row["facts"]["customerId"])
    await house.end(buyer)


@pytest.mark.parametrize("first", FIRST)
async def test_every_order_of_the_first_events_ends_in_the_same_books(house: House, first: str) -> None:
    """All 24 orders, end to end; six for each event that comes first."""
    for rest in itertools.permutations([name for name in FIRST if name != first]):
        buyer, events = await bought(house)
        by_type = {event["type"]: event for event in events}
        for name in (first, *rest):
            assert (await house.deliver(by_type[name])).status_code == 200
        await house.settled(*(event["id"] for event in events))
        assert await buyer.books() == (1000, 0, 0, [("credit_grant", 1000)]), rest
        assert (await buyer.document())["status"] == "active"
        await house.end(buyer)


async def test_one_event_alone_is_enough_and_the_late_ones_change_nothing(house: House) -> None:
    buyer, events = await bought(house)
    await house.deliver(events[0])
    await house.settled(events[0]["id"])
    assert (await buyer.balance()).available == STARTER.credits_per_period
    for event in events[1:]:
        await house.deliver(event)
    await house.settled(*(event["id"] for event in events))
    assert (await buyer.balance()).available == STARTER.credits_per_period
    await house.end(buyer)


async def test_lago_no_event_id_a_delivery_that_is_repeated_is_one_row(house: House) -> None:
    """Lago's inbox had no column for the event's id, so each repeat was worked on."""
    buyer, events = await bought(house)
    paid = events[2]
    for _ in range(4):
        assert (await house.deliver(paid)).status_code == 200
    await house.settled(paid["id"])
    assert (await house.deliver(paid)).json() == {"status": "handled"}
    assert (await house.row(paid["id"]))["deliveries"] == 5
    assert await house.database["webhook_events"].count_documents({"_id": paid["id"]}) == 1
    assert (await buyer.books())[3] == [("credit_grant", 1000)]
    await house.end(buyer)


async def test_polar_insert_ok_and_enqueue_lost_is_answered_503_and_taken_on_the_repeat(house: House) -> None:
    """The row was saved and the queue was down: nobody worked on it until somebody sent it again by hand."""
    buyer, events = await bought(house)
    without: dict[str, Any] = {"temporal_address": "127.0.0.1:1", "dependency_timeout_seconds": 1.0}
    async with house.another_door(**without) as http:
        answer = await house.deliver(events[2], http=http)
        assert answer.status_code == 503, answer.text
    assert (await house.row(events[2]["id"]))["status"] == "received"
    assert (await house.deliver(events[2])).json() == {"status": "handed"}
    await house.settled(events[2]["id"])
    assert (await buyer.balance()).available == STARTER.credits_per_period
    await house.end(buyer)


async def test_polar_an_empty_secret_is_no_endpoint(house: House) -> None:
    """A signature by an empty key verifies, so an endpoint without a secret is not there."""
    unset = {"stripe_webhook_secret": SecretStr(" "), "stripe_connect_webhook_secret": SecretStr("")}
    event = an_event("invoice.paid", {"id": "in_1", "object": "invoice"})
    async with house.another_door(**unset) as http:
        for path in (HOOK, CONNECT_HOOK):
            answer = await house.deliver(event, secret="x", path=path, http=http)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_while_a_secret_is_rolled_both_are_live(house: House) -> None:
    rolled = {
        "stripe_webhook_secret": SecretStr("whsec_new"),
        "stripe_webhook_secret_previous": SecretStr(PLATFORM),
    }
    event = an_event("charge.pending", {"id": "ch_1", "object": "charge"})
    async with house.another_door(**rolled) as http:
        for secret, status in (("whsec_new", 200), (PLATFORM, 200), (CONNECT, 400)):
            assert (await house.deliver(event, secret=secret, http=http)).status_code == status


@pytest.mark.parametrize("wrong", ["missing", "wrong", "old", "other", "changed", "garbage", "not-text"])
async def test_what_stripe_did_not_sign_is_refused_and_not_kept(house: House, wrong: str) -> None:
    event = an_event("invoice.paid", {"id": "in_1", "object": "invoice", "customer": "cus_1"})
    body: str | bytes = json.dumps(event)
    header: str | None = signed(body, PLATFORM)
    match wrong:
        case "missing":
            header = None
        case "wrong":
            header = signed(body, "whsec_guess")
        case "old":
            header = signed(body, PLATFORM, at=int(time.time()) - 301)
        case "other":
            header = signed(body, CONNECT)
        case "changed":
            body = json.dumps(event | {"id": f"evt_{new_id()}"})
        case "garbage":
            header = "t=now,v1=zz,v1="
        case "not-text":
            body = b"\xff\xfe"
    answer = await house.post(body, header)
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook-signature-invalid")
    assert await house.database["webhook_events"].find_one({"_id": event["id"]}) is None


async def test_a_doubled_signature_is_taken_if_one_of_the_two_is_ours(house: House) -> None:
    event = an_event("charge.pending", {"id": "ch_1", "object": "charge"})
    body = json.dumps(event)
    at = int(time.time())
    ours = signed(body, PLATFORM, at=at).partition(",v1=")[2]
    assert (await house.post(body, f"t={at},v1={'0' * 64},v1={ours}")).status_code == 200


async def test_an_unknown_type_is_answered_200_and_kept_as_ignored(house: House) -> None:
    for kind, reason in (
        ("brand.new.thing", "unknown type"),
        ("invoice.upcoming", "the renewal is settled when it is paid or fails"),
        ("issuing_card.created", "a product of Stripe that is not used"),
    ):
        event = an_event(kind, {"id": "x_1", "object": "x"})
        answer = await house.deliver(event)
        assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
        assert (await house.row(event["id"]))["reason"] == reason


@pytest.mark.parametrize("body", ["[]", "{}", '"x"', '{"id": "evt_1", "type": 5}', "{", "null"])
async def test_a_signed_body_that_is_no_event(house: House, body: str) -> None:
    answer = await house.post(body, signed(body, PLATFORM))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")


async def test_ten_megabytes_are_not_read(house: House) -> None:
    body = json.dumps({"x": "y" * 10_000_000})
    answer = await house.post(body, signed(body, PLATFORM))
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")


async def test_an_event_for_an_unknown_customer_moves_no_books(house: House) -> None:
    rows = await house.database["transactions"].count_documents({})
    stranger = await house.shop.sdk.v1.customers.create_async({"email": "x@example.com"})
    claims = await house.shop.sdk.v1.customers.create_async({"metadata": {"client_id": "f" * 24}})
    for customer in ("cus_nobody", stranger.id, claims.id):
        event = an_event("invoice.paid", {"id": "in_1", "object": "invoice", "customer": customer})
        assert (await house.deliver(event)).status_code == 200
        await house.settled(event["id"])
        found = await house.row(event["id"])
        assert (found["status"], found["reason"]) == ("ignored", "no client of ours")
    assert await house.database["transactions"].count_documents({}) == rows


async def test_an_event_that_came_before_our_own_note_of_the_customer(house: House) -> None:
    """Webhook before our own commit: the customer's own metadata tells whose it is, if there is such a client."""
    buyer, events = await bought(house)
    await house.database["billing_customers"].delete_one({"_id": buyer.id})
    await house.deliver(events[2])
    await house.settled(events[2]["id"])
    assert (await buyer.balance()).available == STARTER.credits_per_period
    await house.end(buyer)


async def test_what_a_payload_says_is_not_believed(house: House) -> None:
    """A signed event that tells of an invoice that is not paid at Stripe, or is somebody else's, grants nothing."""
    buyer = await house.shop.client()
    lie = {"id": "in_x", "object": "invoice", "customer": buyer.customer_id, "status": "paid"}
    event = an_event("invoice.paid", lie | {"amount_paid": 10**9, "currency": "eur"})
    await house.deliver(event)
    await house.settled(event["id"])
    assert (await buyer.books())[3] == []


async def test_a_refund_and_a_dispute_find_their_client_by_the_payment(house: House) -> None:
    buyer, events = await bought(house)
    await house.deliver(events[2])
    await house.settled(events[2]["id"])
    payment = await buyer.payment()
    await house.shop.sdk.v1.refunds.create_async({"payment_intent": payment, "amount": 12_450})
    await house.shop.control.open_dispute(payment)
    pages = await house.shop.sdk.v1.events.list_async({"limit": 100})
    found = [plain(event) async for event in pages.auto_paging_iter()]
    back = [
        event
        for event in found
        if event["type"] in ("refund.created", "charge.dispute.created") and payment in json.dumps(event)
    ]
    assert len(back) == 2
    for event in back:
        event["data"]["object"].pop("customer", None)
        await house.deliver(event)
    await house.settled(*(event["id"] for event in back))
    assert (await buyer.balance()).available == 0
    await house.end(buyer)


async def test_what_connected_accounts_sell_is_not_ours(house: House) -> None:
    event = an_event("charge.refunded", {"id": "ch_1", "object": "charge"}, account="acct_1")
    answer = await house.deliver(event, path=CONNECT_HOOK, secret=CONNECT)
    assert answer.json() == {"status": "ignored"}
    assert (await house.row(event["id"]))["reason"] == "of a connected account"
    refused = await house.deliver(event, path=CONNECT_HOOK, secret=PLATFORM)
    assert refused.status_code == 400


async def test_a_connected_account_that_changed_is_looked_at(house: House) -> None:
    event = an_event("account.updated", {"id": "acct_9", "object": "account"}, account="acct_9")
    assert (await house.deliver(event, path=CONNECT_HOOK, secret=CONNECT)).json() == {"status": "handed"}
    await house.settled(event["id"])
    assert (await house.row(event["id"]))["status"] == "handled"


async def test_a_client_who_left_is_looked_at_again_when_an_event_comes(house: House) -> None:
    """The workflow has ended with the subscription; a late refund starts it again."""
    buyer, events = await bought(house)
    await house.deliver(events[2])
    await house.settled(events[2]["id"])
    await house.shop.billing.cancel_now((await buyer.subscription()).id, idempotency_key=new_id())
    gone = (await house.events_of(buyer))[-1]
    assert gone["type"] == "customer.subscription.deleted"
    await house.deliver(gone)
    view = await house.workflow(buyer).result()
    assert view.billing.status == "canceled"
    await house.shop.sdk.v1.refunds.create_async({"payment_intent": await buyer.payment()})
    refunded = [event for event in await house.events_of(buyer) if event["type"] == "charge.refunded"]
    await house.deliver(refunded[0])
    await house.settled(refunded[0]["id"])
    assert (await buyer.balance()).available == 0
    await until(buyer.document, lambda found: found["status"] == "canceled", "the end")


async def test_after_all_of_that_the_books_are_sound(house: House) -> None:
    assert await verify(house.database) == []
