"""The benchmark's own stack: every service, the API, the platform's two workers, and one of the floor, as processes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from temporalio.client import Client

from app.database import connect as connect_database
from app.database import open_database
from app.gateways.stripe import StripeGateway
from app.gateways.stripe_billing import StripeBilling
from app.money.credits import Credits
from app.settings import Settings
from bench.lives import Board, Door, LifeError
from bench.people import enlist
from bench.processor import Processors
from bench.sides import BareFloor, Bells, Platform
from bench.webhooks import BareInbox, Stripe
from devstack.checks import http_ok
from devstack.dev import spawn_workers
from devstack.process import ManagedProcess
from devstack.services import SERVICES
from devstack.stack import Stack

CLIENTS = 4
WORKERS = 30  # as many as the demo seeds: each ranking looks at all of them
_READY_SECONDS = 60.0
_EXTRA = {
    "NIMMIT_PASSWORD_BCRYPT_ROUNDS": "4",  # logins are not measured
    "NIMMIT_LOGIN_ATTEMPTS_PER_MINUTE": "1000",
}


@dataclass(frozen=True, slots=True)
class House:
    """Both sides, ready."""

    platform: Platform
    floor: BareFloor
    client: Client
    processors: Processors
    door: Door
    settings: Settings

    @property
    def inbox(self) -> BareInbox:
        """What a webhook's acknowledgement is measured beside."""
        return BareInbox(self.door.database, self.client)

    @asynccontextmanager
    async def stripe(self) -> AsyncIterator[Stripe]:
        """Who sends webhooks."""
        billing = StripeBilling.from_settings(self.settings)
        try:
            door = self.door
            yield await Stripe.of(door.http, door.database, self.settings, billing, door.cast.clients)
        finally:
            await billing.close()


def build_stack(folder: Path) -> Stack:
    """The services, not yet started. None is taken from the environment: all is on loopback, and ends with the run."""
    return Stack(folder, given={}, extra=_EXTRA)


def start_processes(stack: Stack, bell_port: int) -> None:
    """Start the API and the workers, and wait until each is ready."""
    port = stack.reserve_port()
    url = f"http://127.0.0.1:{port}"
    for key in ("NIMMIT_PUBLIC_URL", "NIMMIT_PORTAL_URL"):
        stack.set_variable(key, url)
    worker, notifier = spawn_workers(stack)
    floor = stack.spawn("floor", [sys.executable, "-m", "bench.floor", str(bell_port)], wait=False)
    arguments = ["--host", "127.0.0.1", "--port", str(port)]
    stack.spawn("api", [sys.executable, "-m", "api", *arguments], ready=lambda: http_ok(f"{url}/health/live"))
    _await_word(worker, "worker_ready")
    _await_word(notifier, "worker_ready")
    _await_word(floor, "floor_ready")


@asynccontextmanager
async def open_house(stack: Stack) -> AsyncIterator[House]:
    """Start everything but the services, write the people, and connect.

    Raises:
        LifeError: a process is not ready in a minute.
    """
    async with AsyncExitStack() as resources:
        transport, bells = await asyncio.get_running_loop().create_datagram_endpoint(
            Bells, local_addr=("127.0.0.1", 0)
        )
        resources.callback(transport.close)
        bell_port: int = transport.get_extra_info("sockname")[1]
        await asyncio.to_thread(start_processes, stack, bell_port)
        settings = stack.settings()
        client = await Client.connect(settings.temporal_address, namespace=settings.temporal_namespace)
        door = await resources.enter_async_context(_door(settings))
        pids = {name: stack.process(name).pid for name in (*SERVICES, "api", "worker", "notifier", "floor")}
        platform, floor = Platform(door, client), BareFloor(client, bells)
        yield House(platform, floor, client, Processors(pids), door, settings)


@asynccontextmanager
async def _door(settings: Settings) -> AsyncIterator[Door]:
    payments = StripeGateway.from_settings(settings)
    try:
        async with (
            connect_database(settings) as mongo,
            httpx2.AsyncClient(base_url=settings.public_url, timeout=30) as http,
        ):
            database = await open_database(mongo, settings)
            cast = await enlist(database, Credits(database), payments, http, clients=CLIENTS, workers=WORKERS)
            yield Door(http, cast, database, Board(database))
    finally:
        await payments.close()


def _await_word(process: ManagedProcess, word: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while word not in process.log_text():
        if not process.alive or time.monotonic() > deadline:
            raise LifeError(f"{process.name} is not ready:\n{process.log_text()[-2000:]}")
        time.sleep(0.05)
