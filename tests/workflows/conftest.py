"""The job's process on the real Temporal server, and on the time-skipping one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from app.settings import Settings
from devstack.stack import Stack
from tests.support.jobs import Database, JobHarness, run_harness

NEEDED = ("mongodb", "s3", "stripe")


@pytest_asyncio.fixture(scope="module")
async def jobs(
    stack: Stack, temporal: Client, database: Database, settings: Settings
) -> AsyncIterator[JobHarness]:
    """Jobs on the real server."""
    stack.require(*NEEDED)
    async with run_harness(temporal, database, settings) as harness:
        yield harness


@pytest_asyncio.fixture
async def skipping_jobs(
    stack: Stack, time_skipping: WorkflowEnvironment, fresh_database: Database, settings: Settings
) -> AsyncIterator[tuple[JobHarness, WorkflowEnvironment]]:
    """Jobs on a server whose timers end at once."""
    stack.require(*NEEDED)
    async with run_harness(time_skipping.client, fresh_database, settings) as harness:
        yield harness, time_skipping
