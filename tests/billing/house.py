"""The API, the workers and a platform account at the sandbox, all for one module of tests."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import stripe
from beanie import init_beanie
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from app.database import document_models
from app.gateways.stripe_billing import StripeBilling
from app.gateways.stripe_client import AsyncHttpClient
from app.ids import new_id
from app.settings import Settings
from app.subscriptions.settlement import Settlement
from devstack.stripe_sandbox.control import SandboxControl
from tests.api.conftest import serve_in_process
from tests.billing.buyers import Buyer, Shop
from tests.conftest import Database
from tests.support.http import until
from tests.support.jobs import JobHarness, run_harness
from workflows.billing import SubscriptionView, subscription_workflow_id
from workflows.contracts import STATE_QUERY

PLATFORM, CONNECT = "whsec_platform", "whsec_connect"
HOOK, CONNECT_HOOK = "/payments/webhooks/stripe", "/payments/webhooks/stripe-connect"


@dataclass
class House:
    """Everything between Stripe's events and the books."""

    harness: JobHarness
    http: httpx2.AsyncClient
    shop: Shop

    @property
    def database(self) -> Database:
        return self.harness.database

    @property
    def settings(self) -> Settings:
        return self.harness.resources.settings

    @asynccontextmanager
    async def another_door(self, **fields: Any) -> AsyncIterator[httpx2.AsyncClient]:
        """A second API with other settings. It binds the document models to itself, so they are bound back."""
        async with serve_in_process(self.settings.model_copy(update=fields)) as http:
            yield http
        await init_beanie(database=self.database, document_models=document_models())

    async def deliver(
        self,
        event: dict[str, Any],
        *,
        path: str = HOOK,
        secret: str = PLATFORM,
        http: httpx2.AsyncClient | None = None,
        at: int | None = None,
    ) -> httpx2.Response:
        """As Stripe sends an event."""
        body = json.dumps(event)
        return await self.post(body, signed(body, secret, at=at), path=path, http=http)

    async def post(
        self,
        body: str | bytes,
        header: str | None,
        *,
        path: str = HOOK,
        http: httpx2.AsyncClient | None = None,
    ) -> httpx2.Response:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if header is not None:
            headers["Stripe-Signature"] = header
        return await (http or self.http).post(path, content=body, headers=headers)

    async def events_of(self, buyer: Buyer) -> list[dict[str, Any]]:
        """Every event of a customer's things, oldest first, as Stripe sends them."""
        pages = await self.shop.sdk.v1.events.list_async({"limit": 100})
        found = [plain(event) async for event in pages.auto_paging_iter()]
        return [event for event in reversed(found) if buyer.customer_id in json.dumps(event)]

    async def row(self, event_id: str) -> dict[str, Any]:
        found = await self.database["webhook_events"].find_one({"_id": event_id})
        assert found is not None
        return found

    async def settled(self, *event_ids: str) -> None:
        """Wait until these events are handled."""

        async def read() -> set[str]:
            return {(await self.row(event_id))["status"] for event_id in event_ids}

        await until(read, lambda found: found <= {"handled", "ignored"}, "the events")

    def workflow(self, buyer: Buyer) -> WorkflowHandle[Any, SubscriptionView]:
        client = self.harness.resources.client
        return client.get_workflow_handle(subscription_workflow_id(buyer.id), result_type=SubscriptionView)

    async def view(self, buyer: Buyer) -> SubscriptionView:
        found: SubscriptionView = await self.workflow(buyer).query(STATE_QUERY, result_type=SubscriptionView)
        return found

    async def end(self, buyer: Buyer) -> None:
        """Take a subscription's workflow away, so that it looks at nothing after the test."""
        try:
            await self.workflow(buyer).terminate("the test is over")
        except RPCError:
            return


def plain(event: stripe.Event) -> dict[str, Any]:
    """An event as it goes over the wire."""
    found: dict[str, Any] = json.loads(json.dumps(event.to_dict(), default=str))
    return found


def signed(body: str | bytes, secret: str, *, at: int | None = None) -> str:
    """The header that Stripe would send."""
    text = body if isinstance(body, str) else body.decode()
    header: str = stripe.WebhookSignature.generate_signature_header(text, secret, at or int(time.time()))
    return header


def an_event(kind: str, found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An event that never happened at Stripe."""
    return {
        "id": f"evt_{new_id()}",
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "data": {"object": found},
        **more,
    }


@asynccontextmanager
async def open_house(
    temporal: Client, database: Database, settings: Settings, **overrides: Any
) -> AsyncIterator[House]:
    """A platform account of its own at the stack's sandbox; the API in this process."""
    key = f"sk_test_{new_id()}"
    fields = {
        "stripe_api_key": SecretStr(key),
        "stripe_webhook_secret": SecretStr(PLATFORM),
        "stripe_connect_webhook_secret": SecretStr(CONNECT),
        "mongodb_database": database.name,
    }
    own = settings.model_copy(update=fields | overrides)
    http_client = AsyncHttpClient(connect=3, read=20)
    sdk = stripe.StripeClient(
        key, base_addresses={"api": own.stripe_api_base}, max_network_retries=0, http_client=http_client
    )
    billing = StripeBilling.from_settings(own)
    async with (
        run_harness(temporal, database, own) as harness,
        serve_in_process(harness.resources.settings) as http,
        SandboxControl(own.stripe_api_base) as control,
    ):
        credits_ = harness.resources.credits
        shop = Shop(database, billing, sdk, control, credits_, Settlement(database, billing, credits_))
        yield House(harness, http, shop)
    await billing.close()
    await http_client.close_async()
