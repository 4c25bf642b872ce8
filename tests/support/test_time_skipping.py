"""A time-skipping server serves one test after the other while its clock goes on, and nothing is left on it."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.api.testservice.v1 import LockTimeSkippingRequest
from temporalio.api.workflowservice.v1 import ListOpenWorkflowExecutionsRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.support import time_skipping
from tests.support.time_skipping import SkippingServers
from worker.sandbox import QuietSandbox


@workflow.defn
class Waiting:
    """Waits for weeks, and has a child that outlives it waiting as long."""

    @workflow.run
    async def run(self, children: int) -> None:
        if children:
            await workflow.start_child_workflow(
                Waiting.run, children - 1, parent_close_policy=workflow.ParentClosePolicy.ABANDON
            )
        await workflow.sleep(timedelta(weeks=3))


async def running(server: WorkflowEnvironment) -> int:
    listing = ListOpenWorkflowExecutionsRequest(namespace=server.client.namespace, maximum_page_size=100)
    return len((await server.client.workflow_service.list_open_workflow_executions(listing)).executions)


async def leave_running(server: WorkflowEnvironment) -> None:
    """A workflow and its child, and nobody who works for them any more."""
    queue = uuid.uuid4().hex
    async with Worker(server.client, task_queue=queue, workflows=[Waiting], workflow_runner=QuietSandbox()):
        await server.client.start_workflow(Waiting.run, 1, id=queue, task_queue=queue)
        await server.sleep(timedelta(days=1))
        assert await running(server) == 2


async def test_what_a_test_leaves_running_is_ended_and_the_clock_of_the_next_goes_on() -> None:
    async with SkippingServers() as servers:
        async with servers.lent() as first:
            await leave_running(first)
        async with servers.lent() as second:
            assert second is first
            assert await running(second) == 0
            before = await second.get_current_time()
            await second.sleep(timedelta(days=30))
            assert await second.get_current_time() >= before + timedelta(days=30)


async def test_a_server_whose_clock_was_stopped_is_not_lent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_skipping, "PATIENCE_SECONDS", 0.5)
    async with SkippingServers() as servers:
        async with servers.lent() as first:
            await first.client.test_service.lock_time_skipping(LockTimeSkippingRequest())
        async with servers.lent() as second:
            assert second is not first
            await second.sleep(timedelta(days=30))
