"""One platform for all end-to-end tests; each module sets the API's windows and leaves everything running."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.platform import Platform, run_platform


@pytest_asyncio.fixture(scope="package")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """The platform in processes of its own."""
    async with run_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform
