"""A market of random people on the time-skipping server: whatever they do, and whatever crashes, all ends well.

pytest tests/market                                another seed each time; it is printed
NIMMIT_MARKET_SEED=7 pytest tests/market           the same dice for every job again
make test-long ARGS=tests/market                   three hundred jobs (NIMMIT_MARKET_JOBS)

The dice are the same for the same seed; which of two acts at the same moment is first is the server's.
"""

from __future__ import annotations

import os
import time

import pytest
from temporalio.testing import WorkflowEnvironment

from app.settings import Settings
from devstack.stack import Stack
from tests.market.checks import check_market
from tests.market.market import open_market
from tests.support.jobs import Database

JOBS = int(os.environ.get("NIMMIT_MARKET_JOBS", "300"))


async def _play(
    stack: Stack, environment: WorkflowEnvironment, database: Database, settings: Settings, wanted: int
) -> None:
    seed = os.environ.get("NIMMIT_MARKET_SEED") or str(time.time_ns() % 1_000_000)
    print(f"NIMMIT_MARKET_SEED={seed}")  # noqa: T201  # to play the same again
    stack.require("mongodb", "s3", "stripe")
    started = time.monotonic()
    async with open_market(environment, database, settings, seed, workers=6 + wanted // 10) as market:
        await market.run(wanted)
        played = time.monotonic() - started
        people, crashes = market.people, market.crashes
        print(  # noqa: T201  # what the test is worth
            f"{wanted} jobs in {played:.0f} s, acts {dict(people.done)}, refused {dict(people.refused)}, "
            f"crashed before the work {crashes.before.total()}, after it {crashes.after.total()}"
        )
        await check_market(market)
    assert crashes.before.total() > 0
    assert crashes.after.total() > 0


async def test_a_small_market_ends_well(
    stack: Stack, time_skipping: WorkflowEnvironment, fresh_database: Database, settings: Settings
) -> None:
    await _play(stack, time_skipping, fresh_database, settings, 25)


@pytest.mark.long
async def test_a_large_market_ends_well(
    stack: Stack, time_skipping: WorkflowEnvironment, fresh_database: Database, settings: Settings
) -> None:
    await _play(stack, time_skipping, fresh_database, settings, JOBS)
