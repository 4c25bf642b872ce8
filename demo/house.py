"""The platform of the demo: real services, seeded people, the API and the workers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from app.database import connect, open_database
from app.gateways.stripe import StripeGateway
from app.money.credits import Credits
from app.seed.people import Cast
from app.seed.store import Seeded, Seeder
from app.settings import Settings
from devstack.checks import http_ok
from devstack.dev import announce_api, start_platform
from devstack.process import ManagedProcess, StartError
from devstack.stack import Stack
from devstack.stripe_sandbox.control import SandboxControl

PLATFORM_BALANCE_CENTS = 5_000_000
_READY_SECONDS = 180.0  # a busy machine takes a minute to import everything

# The demo pays by its own sandbox and mails to its own sink, whatever the environment has.
_NEVER_GIVEN = ("NIMMIT_STRIPE_API_BASE", "NIMMIT_STRIPE_API_KEY", "NIMMIT_SMTP_URL")

Database = AsyncDatabase[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class House:
    """Where everything of a running demo is found."""

    stack: Stack
    settings: Settings
    api_url: str
    processes: list[ManagedProcess]

    def workflow_url(self, workflow_id: str) -> str:
        """The page of a workflow in the Temporal UI."""
        ui, namespace = self.settings.temporal_ui_url, self.settings.temporal_namespace
        return f"{ui}/namespaces/{namespace}/workflows/{workflow_id}"


def build_stack(
    data_dir: Path, run: str, *, offer_window_seconds: int, environment: Mapping[str, str] | None = None
) -> Stack:
    """The services, not yet started. Given ones are shared with others, so the run's name keeps us apart."""
    known = dict(os.environ if environment is None else environment)
    given = {key: value for key, value in known.items() if key not in _NEVER_GIVEN}
    given["NIMMIT_MONGODB_DATABASE"] = f"nimmit_demo_{run}"
    extra = {
        "NIMMIT_OFFER_WINDOW_SECONDS": str(offer_window_seconds),
        "NIMMIT_TASK_QUEUE_PREFIX": f"demo-{run}-" if "NIMMIT_TEMPORAL_ADDRESS" in given else "",
        "NIMMIT_LOGIN_ATTEMPTS_PER_MINUTE": "100",  # thirty people log in from one address at once
    }
    stack = Stack(data_dir, given=given, extra=extra)
    announce_api(stack, {})
    return stack


def start_processes(stack: Stack) -> House:
    """Start the API and the workers on the services, which run. They are not ready yet: see `await_ready`."""
    processes = start_platform(stack, {}, wait=False)
    return House(stack, stack.settings(), stack.environment()["NIMMIT_PUBLIC_URL"], processes)


async def await_ready(house: House) -> None:
    """Wait until the API answers and the workers work.

    Raises:
        StartError: one of them ended or did not come up in time.
    """
    deadline = time.monotonic() + _READY_SECONDS
    for name, is_ready in (
        ("api", _api_answers(house.api_url)),
        ("worker", _worker_works(house.stack, "worker")),
        ("notifier", _worker_works(house.stack, "notifier")),
    ):
        process = house.stack.process(name)
        while not await asyncio.to_thread(is_ready):
            if not process.alive or time.monotonic() > deadline:
                log = "\n".join(process.log_text().splitlines()[-15:])
                raise StartError(
                    f"the {name} is not ready (status {process.returncode}); its log ends:\n{log}"
                )
            await asyncio.sleep(0.1)


def _api_answers(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            return http_ok(f"{url}/health/live")
        except OSError:
            return False

    return answers


def _worker_works(stack: Stack, name: str) -> Callable[[], bool]:
    return lambda: "worker_ready" in stack.process(name).log_text()


@asynccontextmanager
async def open_books(settings: Settings) -> AsyncIterator[Database]:
    """The database, for seeding and for the checks at the end; all else goes through the door."""
    async with connect(settings) as client:
        yield await open_database(client, settings)


async def seed(settings: Settings, cast: Cast) -> Seeded:
    """Write the people, without subscriptions, and see that the sandbox's platform has money to pay workers with."""
    payments = StripeGateway.from_settings(settings)
    try:
        async with open_books(settings) as database:
            seeded = await Seeder(database, settings, Credits(database), payments).write(
                cast, subscribed=False
            )
        missing = PLATFORM_BALANCE_CENTS - await payments.available_cents()
        if missing > 0:
            async with SandboxControl(settings.stripe_api_base) as control:
                await control.fund_platform(settings.stripe_api_key.get_secret_value(), missing)
    finally:
        await payments.close()
    return seeded


async def forget(settings: Settings, *, mongodb_is_given: bool) -> None:
    """Drop the demo's database where the server is somebody else's and stays."""
    if mongodb_is_given:
        async with connect(settings) as client:
            await asyncio.wait_for(client.drop_database(settings.mongodb_database), 10)
