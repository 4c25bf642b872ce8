"""A sandbox for these tests; each has a platform account of its own, that begins without money."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from app.gateways.stripe import StripeGateway
from devstack.stripe_sandbox.control import SandboxControl
from tests.conftest import Database
from tests.stripe.processes import Service, sandbox


@dataclass(frozen=True)
class Payer:
    """One platform account at Stripe."""

    gateway: StripeGateway
    control: SandboxControl
    api_key: str
    base_url: str

    async def give(self, database: Database, worker_id: str, *, account_number: str | None = None) -> str:
        """An onboarded account for the worker."""
        account = await self.gateway.create_recipient_account(
            worker_id, f"{worker_id}@example.com", idempotency_key=f"account-{worker_id}"
        )
        await self.control.complete_onboarding(account.id, account_number=account_number)
        await database["users"].update_one(
            {"_id": worker_id}, {"$set": {"workerProfile.stripeAccountId": account.id}}
        )
        return account.id

    async def send(self, account_id: str, cents: int) -> None:
        """Money on the connected account, as from a job."""
        await self.control.fund_platform(self.api_key, cents)
        job = uuid.uuid4().hex
        await self.gateway.create_transfer(account_id, cents, job, idempotency_key=job)


@pytest.fixture(scope="module")
def stripe_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for each module: some move its clock, and a transfer must not be made in the next one's future."""
    service = sandbox(tmp_path_factory.mktemp("stripe"))
    service.start()
    yield service
    service.stop()


@pytest_asyncio.fixture
async def control(stripe_sandbox: Service) -> AsyncIterator[SandboxControl]:
    async with SandboxControl(stripe_sandbox.base_url) as control:
        yield control
        await control.clear_faults()


@pytest_asyncio.fixture
async def payer(stripe_sandbox: Service, control: SandboxControl) -> AsyncIterator[Payer]:
    api_key = f"sk_test_{uuid.uuid4().hex}"
    gateway = StripeGateway(api_key, api_base=stripe_sandbox.base_url)
    yield Payer(gateway, control, api_key, stripe_sandbox.base_url)
    await gateway.close()
