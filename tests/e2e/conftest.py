"""A platform for each module of end-to-end tests: what a crash test leaves behind meets no other test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.platform import Platform, run_platform


@pytest_asyncio.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """The platform in processes of its own."""
    async with run_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform
