"""The space of a job's process, explored once."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.lifecycle.process import Process
from tests.lifecycle.space import Space


@pytest_asyncio.fixture(scope="package")
async def space() -> Space:
    """Every place, and what leads from one to another."""
    with pytest.MonkeyPatch.context() as patch:
        process = Process()
        process.install(patch)
        space = Space(process)
        await space.explore()
    return space
