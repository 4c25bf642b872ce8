"""How soon a webhook is acknowledged: kept in the inbox and taken by Temporal, then 200.

It is what Stripe waits for. What follows from an event is not timed, and waited for before the next is sent.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson
import stripe
from pymongo.asynchronous.database import AsyncDatabase
from temporalio.client import Client

from app.gateways.billing import BillingGateway
from app.ids import new_id
from app.settings import Settings
from app.subscriptions.customers import ensure_customer
from app.webhooks.inbox import COLLECTION
from app.webhooks.models import EventStatus
from bench.floor import FLOOR_QUEUE, Bare
from bench.lives import LifeError
from bench.rates import percentile

Database = AsyncDatabase[dict[str, Any]]

PATH = "/payments/webhooks/stripe"
_TYPE = "customer.subscription.updated"
_IGNORED_TYPE = "customer.created"
_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Seconds, in turns: an event handed to Temporal, one only kept, a bare insert, and one with a bare start."""

    handed: list[float]
    kept: list[float]
    insert: list[float]
    insert_and_start: list[float]

    def ratio(self, percent: int, beside: Sequence[float]) -> float:
        """Handed over another, at a percentile."""
        return percentile(self.handed, percent) / percentile(beside, percent)


class Stripe:
    """Sends signed events of one platform account's customers."""

    def __init__(
        self, http: httpx2.AsyncClient, database: Database, settings: Settings, customers: Sequence[str]
    ) -> None:
        """Events are of these customers, each in its turn."""
        self._http, self._inbox = http, database[COLLECTION]
        self._secret = settings.stripe_webhook_secret.get_secret_value()
        self._turn = itertools.cycle(customers)

    @classmethod
    async def of(
        cls,
        http: httpx2.AsyncClient,
        database: Database,
        settings: Settings,
        billing: BillingGateway,
        clients: Sequence[str],
    ) -> Stripe:
        """With a customer at Stripe for each client."""
        customers = [
            await ensure_customer(database, billing, client_id, f"{client_id}@bench.example")
            for client_id in clients
        ]
        return cls(http, database, settings, customers)

    async def send(self, kind: str = _TYPE) -> str:
        """One event; its id, once it is acknowledged.

        Raises:
            LifeError: it was refused.
        """
        event_id, body, header = self._event(kind)
        await self._post(body, header)
        return event_id

    async def handed(self) -> float:
        """The seconds until an event of a client was acknowledged; returns once what follows from it is done."""
        return await self._timed(_TYPE, EventStatus.HANDLED)

    async def kept(self) -> float:
        """The same of an event that nothing follows from."""
        return await self._timed(_IGNORED_TYPE, EventStatus.IGNORED)

    async def _timed(self, kind: str, end: EventStatus) -> float:
        event_id, body, header = self._event(kind)
        started = time.perf_counter()
        await self._post(body, header)
        seconds = time.perf_counter() - started
        await self.ended(event_id, end)
        return seconds

    async def ended(self, event_id: str, end: EventStatus = EventStatus.HANDLED) -> None:
        """Wait until what follows from an event is done.

        Raises:
            LifeError: it took too long.
        """
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while (await self._inbox.find_one({"_id": event_id}) or {}).get("status") != end:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise LifeError(f"{event_id} is not {end} after {_WAIT_SECONDS:.0f} s") from None

    async def _post(self, body: bytes, header: str) -> None:
        headers = {"Content-Type": "application/json", "Stripe-Signature": header}
        answer = await self._http.post(PATH, content=body, headers=headers)
        if answer.status_code != 200:
            raise LifeError(f"POST {PATH}: {answer.status_code} {answer.text}")

    def _event(self, kind: str) -> tuple[str, bytes, str]:
        event_id, customer = f"evt_{new_id()}", next(self._turn)
        created = int(time.time())
        found = {"id": f"sub_{customer}", "object": "subscription", "customer": customer, "status": "active"}
        event = {
            "id": event_id,
            "object": "event",
            "type": kind,
            "created": created,
            "data": {"object": found},
        }
        body = orjson.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), self._secret, created)
        return event_id, body, header


class BareInbox:
    """The least that it could be: one insert; and one insert with a workflow started after it."""

    def __init__(self, database: Database, client: Client) -> None:
        """Into a collection of its own."""
        self._rows, self._client = database["bench_inbox"], client

    async def insert(self) -> float:
        """One insert of a row like the inbox's."""
        started = time.perf_counter()
        await self._insert()
        return time.perf_counter() - started

    async def insert_and_start(self) -> float:
        """The same, and a bare workflow that is told to start."""
        workflow_id = f"bare-{new_id()}"
        started = time.perf_counter()
        await self._insert()
        await self._client.start_workflow(Bare.run, "floor", id=workflow_id, task_queue=FLOOR_QUEUE)
        return time.perf_counter() - started

    async def _insert(self) -> None:
        row = {"_id": f"evt_{new_id()}", "type": _TYPE, "status": "received", "facts": {"id": new_id()}}
        await self._rows.insert_one(row)


async def measure_webhooks(platform: Stripe, floor: BareInbox, *, samples: int) -> Acknowledged:
    """One at a time, in turns, after a few that are not counted."""
    found = Acknowledged([], [], [], [])
    order: list[tuple[Callable[[], Awaitable[float]], list[float]]] = [
        (platform.handed, found.handed),
        (platform.kept, found.kept),
        (floor.insert, found.insert),
        (floor.insert_and_start, found.insert_and_start),
    ]
    for number in range(-3, samples):
        for act, times in order if number % 2 == 0 else reversed(order):
            seconds = await act()
            if number >= 0:
                times.append(seconds)
    return found
