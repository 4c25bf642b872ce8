"""A Stripe sandbox for these tests, with a platform account of each test's own, and clients who buy from it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
import stripe

from app.gateways.stripe_billing import StripeBilling
from app.money.credits import Credits
from app.subscriptions.settlement import Settlement
from devstack.stripe_sandbox.control import SandboxControl
from tests.billing.buyers import Shop
from tests.conftest import Database
from tests.stripe.conftest import api_key, control, sdk, stripe_sandbox
from tests.stripe.processes import Service

__all__ = ["api_key", "control", "sdk", "stripe_sandbox"]


@pytest_asyncio.fixture
async def billing(stripe_sandbox: Service, api_key: str) -> AsyncIterator[StripeBilling]:
    gateway = StripeBilling(api_key, api_base=stripe_sandbox.base_url)
    yield gateway
    await gateway.close()


@pytest_asyncio.fixture
async def shop(
    database: Database, billing: StripeBilling, sdk: stripe.StripeClient, control: SandboxControl
) -> Shop:
    """What sells to clients, over the module's database."""
    credits_ = Credits(database)
    return Shop(database, billing, sdk, control, credits_, Settlement(database, billing, credits_))
