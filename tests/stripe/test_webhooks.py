"""Webhooks: signed as the SDK verifies them, repeated until they are taken, and disturbed by a seed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import stripe

from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe.processes import Service, free_port, sandbox


class Receiver:
    """A server that keeps what it is sent, and answers with the statuses it is told to."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.statuses: list[int] = []  # for the next requests; then 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((body, self.headers["Stripe-Signature"]))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def events(self, secret: str) -> list[stripe.Event]:
        """What came, each verified by the SDK."""
        return [stripe.Webhook.construct_event(body, header, secret) for body, header in self.received]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.received) < count:  # noqa: ASYNC110  # another thread receives
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    yield receiver
    await asyncio.to_thread(receiver.close)


async def customers(sdk: stripe.StripeClient, count: int) -> list[str]:
    return [(await sdk.v1.customers.create_async({"name": str(n)})).id for n in range(count)]


async def test_an_event_comes_signed_and_is_then_delivered(
    sdk: stripe.StripeClient, control: SandboxControl, receiver: Receiver
) -> None:
    endpoint = await sdk.v1.webhook_endpoints.create_async(
        {"url": receiver.url, "enabled_events": ["customer.created"]}
    )
    assert endpoint.secret is not None
    (made,) = await customers(sdk, 1)
    await sdk.v1.customers.update_async(made, {"name": "not asked for"})
    await receiver.until(1)
    (event,) = receiver.events(endpoint.secret)
    assert (event.type, event["data"]["object"]["id"], event.pending_webhooks) == (
        "customer.created",
        made,
        1,
    )
    assert event.api_version == stripe.api_version
    assert event.request is not None
    assert str(event.request.id).startswith("req_")
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events("whsec_of_another")
    await control.flush()
    after = await sdk.v1.events.retrieve_async(event.id)
    assert after.pending_webhooks == 0
    assert (await sdk.v1.events.list_async({"delivery_success": False})).data == []
    await sdk.v1.webhook_endpoints.delete_async(endpoint.id)
    await customers(sdk, 1)
    await control.flush()
    assert len(receiver.received) == 1


async def test_connected_accounts_have_an_endpoint_and_a_secret_of_their_own(
    sdk: stripe.StripeClient, control: SandboxControl, receiver: Receiver, worker: str, api_key: str
) -> None:
    await control.add_webhook(api_key, receiver.url, secret="whsec_connect", connect=True)
    await customers(sdk, 1)
    await control.require(worker, "individual.verification.document")
    account = await sdk.v1.accounts.retrieve_async(worker)
    assert account.requirements is not None
    assert account.requirements.currently_due == ["individual.verification.document"]
    assert not account.payouts_enabled
    await control.complete_onboarding(worker)
    await control.deauthorize(worker)
    await control.flush(api_key)
    events = receiver.events("whsec_connect")
    assert {event.account for event in events} == {worker}
    assert [event.type for event in events if event.type != "capability.updated"] == [
        "account.updated",
        "account.updated",
        "account.application.deauthorized",
    ]
    with pytest.raises(stripe.PermissionError):
        await sdk.v1.accounts.retrieve_async(worker)


async def test_while_a_secret_is_rolled_both_sign(
    sdk: stripe.StripeClient, control: SandboxControl, receiver: Receiver, api_key: str
) -> None:
    endpoint, old = await control.add_webhook(api_key, receiver.url)
    new = await control.roll_webhook_secret(endpoint, overlap_seconds=3_600)
    await customers(sdk, 1)
    await control.flush(api_key)
    assert receiver.received[0][1].count("v1=") == 2
    assert receiver.events(old)[0].id == receiver.events(new)[0].id
    await control.advance_clock(3_601)
    receiver.received.clear()
    await customers(sdk, 1)
    await control.flush(api_key)
    assert receiver.events(new)
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.events(old)


async def test_what_is_not_taken_is_repeated_with_growing_waits(
    sdk: stripe.StripeClient, control: SandboxControl, receiver: Receiver, api_key: str
) -> None:
    await control.add_webhook(api_key, receiver.url, secret="whsec_1")
    receiver.statuses = [500, 404, 302]
    await customers(sdk, 1)
    await receiver.until(1)
    for wait in (5, 10, 20):
        assert len(receiver.received) < 4
        (row,) = await control.deliveries(api_key)
        assert row["state"] == "waiting"
        undelivered = (await sdk.v1.events.list_async({"delivery_success": False})).data
        assert len(undelivered) == 1
        before = len(receiver.received)
        await control.advance_clock(wait)
        await receiver.until(before + 1)
    await control.flush(api_key)
    (row,) = await control.deliveries(api_key)
    assert (row["state"], row["attempt"], row["response"]) == ("delivered", 4, 200)
    assert len({event.id for event in receiver.events("whsec_1")}) == 1


async def disturbed(
    sdk: stripe.StripeClient, control: SandboxControl, receiver: Receiver, api_key: str, **mode: Any
) -> list[int]:
    """Twenty customers' events, as numbers in the order of their arrival."""
    await control.set_delivery(api_key, paused=True, **mode)
    made = await customers(sdk, 20)
    await control.flush(api_key)
    arrived = [made.index(event["data"]["object"]["id"]) for event in receiver.events("whsec_1")]
    receiver.received.clear()
    return arrived


async def test_the_same_seed_gives_the_same_disorder(
    stripe_sandbox: Service,
    control: SandboxControl,
    receiver: Receiver,
    sdk: stripe.StripeClient,
    api_key: str,
) -> None:
    async def fresh(**mode: Any) -> list[int]:
        key = f"{api_key}_{len(runs)}"
        runs.append(key)
        await control.add_webhook(key, receiver.url, secret="whsec_1")
        client = stripe.StripeClient(
            key, base_addresses={"api": stripe_sandbox.base_url}, http_client=sdk._requestor._client
        )
        return await disturbed(client, control, receiver, key, **mode)

    runs: list[str] = []
    assert await fresh() == list(range(20))
    shuffled = await fresh(order="shuffled", seed=7)
    assert sorted(shuffled) == list(range(20)) != shuffled
    assert await fresh(order="shuffled", seed=7) == shuffled
    assert await fresh(order="shuffled", seed=8) != shuffled
    twice = await fresh(duplicate=0.5, seed=1)
    assert 20 < len(twice) < 40
    assert set(twice) == set(range(20))
    some = await fresh(drop=0.5, seed=1)
    assert 0 < len(some) < 20
    dropped = [row for row in await control.deliveries(runs[-1]) if row["state"] == "dropped"]
    assert len(dropped) == 20 - len(some)
    await control.flush(runs[-1], with_dropped=True)
    assert len(receiver.received) == len(dropped)


async def test_a_delayed_event_comes_later_and_any_can_be_sent_again(
    sdk: stripe.StripeClient, control: SandboxControl, receiver: Receiver, api_key: str
) -> None:
    await control.add_webhook(api_key, receiver.url, secret="whsec_1")
    await control.set_delivery(api_key, delay_seconds=100_000, seed=3)
    await customers(sdk, 1)
    (row,) = await control.deliveries(api_key)
    assert (row["state"], receiver.received) == ("waiting", [])
    await control.advance_clock(100_000)
    await receiver.until(1)
    await control.resend(row["event"])
    await receiver.until(2)
    assert len({event.id for event in receiver.events("whsec_1")}) == 1


async def test_events_are_listed_for_thirty_days(sdk: stripe.StripeClient, control: SandboxControl) -> None:
    await customers(sdk, 1)
    (event,) = (await sdk.v1.events.list_async()).data
    await control.advance_clock(30 * 86_400 + 1)
    assert (await sdk.v1.events.list_async()).data == []
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.events.retrieve_async(event.id)


async def test_a_dispute_opened_and_ruled_by_hand(sdk: stripe.StripeClient, control: SandboxControl) -> None:
    intent = await sdk.v1.payment_intents.create_async(
        {"amount": 1_000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    dispute = await control.open_dispute(intent.id, reason="subscription_canceled", amount=600)
    assert (await sdk.v1.disputes.retrieve_async(dispute)).amount == 600
    await control.close_dispute(dispute, "won")
    assert (await sdk.v1.disputes.retrieve_async(dispute)).status == "won"
    with pytest.raises(RuntimeError, match="404"):
        await control.open_dispute("ch_none")


async def test_undelivered_webhooks_survive_kill_minus_nine(tmp_path: Path, receiver: Receiver) -> None:
    port = free_port()
    service = sandbox(tmp_path, "--webhook-url", receiver.url, "--webhook-secret", "whsec_1", port=port)
    await asyncio.to_thread(service.start)
    gateway = StripeGateway("sk_test_webhooks", api_base=service.base_url)
    try:
        async with SandboxControl(service.base_url) as control:
            await control.set_delivery(paused=True)
            await control.fund_platform("sk_test_webhooks", 5_000)
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
            assert receiver.received == []
            await control.flush()
        assert [event.type for event in receiver.events("whsec_1")] == ["topup.created", "topup.succeeded"]
    finally:
        await gateway.close()
        await asyncio.to_thread(service.stop)
