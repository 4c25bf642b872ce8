"""The market keeps the time-skipping server's clock going by itself, so it has a server of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.support.time_skipping import skipping_server


@pytest_asyncio.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server that no other test uses."""
    async with skipping_server() as environment:
        yield environment
