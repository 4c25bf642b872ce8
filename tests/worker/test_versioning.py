"""Two builds of the workers on the real server: who gets what, what moves over, and the way back."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from temporalio.api.workflow.v1 import WorkflowExecutionVersioningInfo
from temporalio.client import Client, WorkflowHandle
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError

from app.ids import new_id
from app.jobs.models import Job
from app.settings import Settings
from devstack.stack import Stack
from tests.conftest import Database
from tests.support.http import until
from tests.support.jobs import JobHarness, run_harness
from worker import deployment
from worker.workers import build_workers
from workflows.contracts import SWEEP_WORKFLOW, TaskQueue, task_queue
from workflows.followers import SweepInput, SweepResult

A, B = "2026.11.1-a", "2026.11.2-b"


@pytest_asyncio.fixture
async def jobs(
    stack: Stack, temporal: Client, fresh_database: Database, settings: Settings
) -> AsyncIterator[JobHarness]:
    """The workers of build A, of a deployment of this test's own."""
    stack.require("mongodb", "s3", "stripe")
    first = settings.model_copy(update={"worker_deployment_name": f"t-{new_id()}", "worker_build_id": A})
    async with run_harness(temporal, fresh_database, first) as harness:
        yield harness


def name_of(jobs: JobHarness) -> str:
    name = jobs.resources.settings.worker_deployment_name
    assert name
    return name


@asynccontextmanager
async def second_build(jobs: JobHarness) -> AsyncIterator[None]:
    """The workers of build B beside those of A, on the same task queues."""
    settings = jobs.resources.settings.model_copy(update={"worker_build_id": B})
    async with AsyncExitStack() as stack:
        for worker in build_workers(dataclasses.replace(jobs.resources, settings=settings)):
            await stack.enter_async_context(worker)
        yield


async def versioning(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionVersioningInfo:
    description = await handle.describe()
    return description.raw_description.workflow_execution_info.versioning_info


async def build_of(jobs: JobHarness, job: Job) -> str:
    """The build that the job's process ran on last. An offer is on record a moment before its task has ended."""
    handle = jobs.handle(job)
    info = await until(lambda: versioning(handle), lambda found: found.behavior != 0, "a finished task")
    return info.deployment_version.build_id


async def posted(jobs: JobHarness, client_id: str) -> Job:
    job = await jobs.post(client_id)
    await jobs.until_offered(job)
    return job


async def test_new_jobs_go_to_the_current_build_and_running_ones_move_to_it(
    jobs: JobHarness, temporal: Client
) -> None:
    name = name_of(jobs)
    await deployment.set_current(temporal, name, A)
    client_id, worker_id = await jobs.add_client(), await jobs.add_worker(capacity=9)
    early = await posted(jobs, client_id)
    assert await build_of(jobs, early) == A
    assert (
        VersioningBehavior((await versioning(jobs.handle(early))).behavior) is VersioningBehavior.AUTO_UPGRADE
    )

    async with second_build(jobs):
        between = await posted(jobs, client_id)
        assert await build_of(jobs, between) == A, "a build gets nothing before it is made current"

        found = await deployment.set_current(temporal, name, B)
        assert (found.current, found.builds[B]) == (B, "current")
        late = await posted(jobs, client_id)
        assert await build_of(jobs, late) == B

        await jobs.accept(early, worker_id)
        assert await build_of(jobs, early) == B, "a job lives for weeks, so it does not keep its build"

        found = await deployment.set_current(temporal, name, A)
        assert found.current == A
        back = await posted(jobs, client_id)
        assert await build_of(jobs, back) == A
        await jobs.accept(late, worker_id)
        assert await build_of(jobs, late) == A


async def test_a_sweep_ends_on_the_build_that_it_began_on(jobs: JobHarness, temporal: Client) -> None:
    await deployment.set_current(temporal, name_of(jobs), A)
    handle = await temporal.start_workflow(
        SWEEP_WORKFLOW,
        SweepInput(),
        id=f"sweep-{new_id()}",
        task_queue=task_queue(TaskQueue.NOTIFY, jobs.resources.settings.task_queue_prefix),
        result_type=SweepResult,
    )
    await handle.result()
    info = await versioning(handle)
    assert VersioningBehavior(info.behavior) is VersioningBehavior.PINNED
    assert info.deployment_version.build_id == A


async def test_a_ramp_gives_a_share_of_new_work(jobs: JobHarness, temporal: Client) -> None:
    name = name_of(jobs)
    await deployment.set_current(temporal, name, A)
    client_id = await jobs.add_client()
    await jobs.add_worker(capacity=9)
    async with second_build(jobs):
        found = await deployment.ramp(temporal, name, B, 100)
        assert (found.current, found.ramping, found.ramp_percent) == (A, B, 100)
        assert await build_of(jobs, await posted(jobs, client_id)) == B
        found = await deployment.ramp(temporal, name, B, 0)
        assert found.ramp_percent == 0
        assert await build_of(jobs, await posted(jobs, client_id)) == A


async def test_a_build_without_workers_is_not_made_current(jobs: JobHarness, temporal: Client) -> None:
    name = name_of(jobs)
    await deployment.set_current(temporal, name, A)
    with pytest.raises(RPCError):
        await deployment.set_current(temporal, name, "nobody", wait_seconds=0)
    assert (await deployment.describe(temporal, name)).current == A


async def test_the_command_makes_its_own_build_current(jobs: JobHarness, temporal: Client) -> None:
    settings = jobs.resources.settings
    environment = {
        "NIMMIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "NIMMIT_WORKER_DEPLOYMENT_NAME": name_of(jobs),
        "NIMMIT_WORKER_BUILD_ID": A,
    }
    done = await run_command(environment, "set-current")
    assert done[0] == 0, done
    assert f"current    {A}" in done[1]
    refused = await run_command(environment | {"NIMMIT_WORKER_DEPLOYMENT_NAME": "t-nobody"}, "show")
    assert refused[0] == 1, refused
    assert (await run_command({}, "show"))[0] == 2
    assert (await deployment.describe(temporal, name_of(jobs))).current == A


async def run_command(environment: dict[str, str], *arguments: str) -> tuple[int | None, str]:
    """`python -m worker.deployment` in a process of its own."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("NIMMIT_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "worker.deployment", *arguments),
        env=inherited | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


@pytest.mark.parametrize(
    "half",
    [
        {"worker_deployment_name": "nimmit"},
        {"worker_build_id": A},
        {"worker_deployment_name": "a.b", "worker_build_id": A},
    ],
)
def test_half_a_version_stops_the_start(half: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="worker_"):
        Settings(environment="test", **half)  # type: ignore[arg-type]
