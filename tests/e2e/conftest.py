"""One platform for all end-to-end tests: each module serves with a window of its own, and brings its own workers.

What a module needs, it names: `OFFER_WINDOW_SECONDS`, `WORKERS` (how many) and `CAPACITY` (of each).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.database import open_database
from tests.e2e.platform import Platform, run_platform
from tests.support.http import Person


@pytest_asyncio.fixture(scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """The platform in processes of its own."""
    async with run_platform(tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest_asyncio.fixture(scope="module")
async def platform(whole: Platform, request: pytest.FixtureRequest) -> Platform:
    """The same, all of it up, with offers that last as long as the module says."""
    await whole.heal()
    # The document models belong to one database at a time, and a module between may have taken them.
    await open_database(whole.database.client, whole.settings)
    await whole.serve(NIMMIT_OFFER_WINDOW_SECONDS=str(request.module.OFFER_WINDOW_SECONDS))
    return whole


@pytest_asyncio.fixture
async def mended(platform: Platform) -> AsyncIterator[None]:
    """Whatever a test killed runs again afterwards, with an ordinary worker."""
    yield
    await platform.heal()
    if "-m worker" not in " ".join(platform.stack.process("worker").argv):
        await platform.work()


@pytest_asyncio.fixture(scope="module")
async def client(platform: Platform) -> Person:
    """Who posts every job."""
    return await platform.client()


@pytest_asyncio.fixture(scope="module")
async def workers(platform: Platform, request: pytest.FixtureRequest) -> list[Person]:
    """The only workers who are available: an offer to another would be seen by nobody."""
    await platform.database["users"].update_many(
        {"role": "worker"}, {"$set": {"workerProfile.available": False}}
    )
    return [await platform.worker(capacity=request.module.CAPACITY) for _ in range(request.module.WORKERS)]
