"""One sandbox process for the session; each test has an API key, and so a platform account, of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import stripe

from app.gateways.stripe import StripeGateway
from app.gateways.stripe_client import AsyncHttpClient
from devstack.stripe_sandbox.control import SandboxControl
from tests.stripe.processes import Service, sandbox


@pytest.fixture(scope="session")
def stripe_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = sandbox(tmp_path_factory.mktemp("stripe"))
    service.start()
    yield service
    service.stop()


@pytest.fixture
def api_key() -> str:
    return f"sk_test_{uuid.uuid4().hex}"


@pytest_asyncio.fixture
async def control(stripe_sandbox: Service) -> AsyncIterator[SandboxControl]:
    async with SandboxControl(stripe_sandbox.base_url) as control:
        yield control
        await control.clear_faults()


@pytest_asyncio.fixture
async def gateway(stripe_sandbox: Service, api_key: str) -> AsyncIterator[StripeGateway]:
    gateway = StripeGateway(api_key, api_base=stripe_sandbox.base_url)
    yield gateway
    await gateway.close()


@pytest_asyncio.fixture
async def sdk(stripe_sandbox: Service, api_key: str) -> AsyncIterator[stripe.StripeClient]:
    """The SDK without our gateway: what Stripe's users see."""
    http = AsyncHttpClient(connect=3, read=20)
    yield stripe.StripeClient(
        api_key, base_addresses={"api": stripe_sandbox.base_url}, max_network_retries=0, http_client=http
    )
    await http.close_async()


@pytest_asyncio.fixture
async def worker(gateway: StripeGateway, control: SandboxControl, api_key: str) -> str:
    """The account of an onboarded worker, on a platform that has USD 1,000."""
    account = await gateway.create_recipient_account(
        "user-1", "worker@example.com", idempotency_key="account-1"
    )
    await control.complete_onboarding(account.id)
    await control.fund_platform(api_key, 100_000)
    return account.id
