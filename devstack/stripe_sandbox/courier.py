"""Carries events to webhook endpoints, signed as Stripe signs them, and does what has become due meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time

import httpx2

from devstack.stripe_sandbox import deliveries, webhook_endpoints
from devstack.stripe_sandbox.call import Options, without_private
from devstack.stripe_sandbox.deliveries import Delivery
from devstack.stripe_sandbox.engine import Engine
from devstack.stripe_sandbox.store import Store

_PAUSE_SECONDS = 0.05
_TIMEOUT_SECONDS = 20.0


def signature(payload: bytes, secrets: list[str], *, at: int) -> str:
    """The `Stripe-Signature` header: one `v1` for each live secret. `at` is real time, as receivers check it."""
    signed = str(at).encode() + b"." + payload
    parts = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={part}" for part in parts)])


class Courier:
    """One task per endpoint that has something waiting; each endpoint gets one event at a time."""

    def __init__(self, store: Store, engine: Engine, options: Options) -> None:
        self._store = store
        self._engine = engine
        self._options = options
        self._http = httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS)
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Works until it is cancelled."""
        try:
            while True:
                self.look()
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            for task in self._busy.values():
                task.cancel()
            await self._http.aclose()

    def look(self) -> None:
        """Does what is due, and starts what is to be sent."""
        if self._store.anything_due():
            self._engine.run_due()
        self._busy = {endpoint: task for endpoint, task in self._busy.items() if not task.done()}
        with self._store.transaction() as tx:
            ready = deliveries.ready_endpoints(tx)
        for endpoint in ready:
            if endpoint not in self._busy:
                self._busy[endpoint] = asyncio.create_task(self._serve(endpoint))

    async def drained(self, platform: str | None, *, timeout_seconds: float) -> bool:
        """Waits until all that should be under way has been tried; False if that takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self.look()
            with self._store.transaction() as tx:
                if not deliveries.waiting(tx, platform):
                    return True
            await asyncio.sleep(_PAUSE_SECONDS / 5)
        return False

    async def _serve(self, endpoint: str) -> None:
        while (sending := self._next(endpoint)) is not None:
            delivery, url, payload, header = sending
            response, note = await self._post(url, payload, header)
            with self._store.transaction() as tx:
                deliveries.record(tx, self._options, delivery, response, note)

    def _next(self, endpoint_id: str) -> tuple[Delivery, str, bytes, str] | None:
        """The delivery, the address, the payload and its signature."""
        with self._store.transaction() as tx:
            while (delivery := deliveries.next_for(tx, endpoint_id)) is not None:
                endpoint = webhook_endpoints.find(tx, self._options, endpoint_id)
                event = tx.find("event", delivery.event)
                if endpoint is None or event is None:
                    deliveries.give_up(tx, delivery, "the endpoint is gone")
                    continue
                payload = json.dumps(without_private(event), indent=2).encode()
                secrets = webhook_endpoints.live_secrets(endpoint, tx.now)
                return delivery, endpoint["url"], payload, signature(payload, secrets, at=int(time.time()))
        return None

    async def _post(self, url: str, payload: bytes, header: str) -> tuple[int | None, str | None]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": header,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            answer = await self._http.post(url, content=payload, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            return None, type(failure).__name__
        return answer.status_code, None if answer.is_success else answer.text[:200]
