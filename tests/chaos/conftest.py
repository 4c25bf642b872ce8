"""A platform of its own: it is not fit for other tests afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.platform import Platform, run_platform


@pytest_asyncio.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """Everything in processes of its own; offers outlive a crash."""
    async with run_platform(tmp_path_factory.mktemp("chaos")) as running:
        await running.serve(NIMMIT_OFFER_WINDOW_SECONDS="60")
        running.door.patience_seconds = 400
        yield running
