"""The time-skipping server's clock, kept going.

When a child workflow ends after its parent, as every follower of a job does, that server takes a lock on its time for
the message to the parent and never gives it back, since there is no parent to take the message. So whenever the clock
stands still, we look which followers have ended since, and give one lock back for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.testservice.v1 import SleepRequest, UnlockTimeSkippingRequest
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
_LOOK_AFTER = 0.25  # seconds that a step may take before we look
_LIMIT = timedelta(minutes=5)  # of real time, for one step


class Clock:
    """Moves the time. `followers` names the workflows that may have ended after their parent."""

    def __init__(self, client: Client, followers: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """Everything started by the same client."""
        self._client, self._followers = client, followers
        self._ended: set[str] = set()

    async def sleep(self, step: timedelta) -> None:
        """Let so much of the server's time pass."""
        duration = Duration()
        duration.FromTimedelta(step)
        request = SleepRequest(duration=duration)
        sleeping = asyncio.create_task(
            self._client.test_service.unlock_time_skipping_with_sleep(request, timeout=_LIMIT)
        )
        try:
            while not (await asyncio.wait({sleeping}, timeout=_LOOK_AFTER))[0]:
                await self._unlock()
            await sleeping
        finally:
            sleeping.cancel()

    async def _unlock(self) -> None:
        wanted = sorted(set(await self._followers()) - self._ended)
        for workflow_id, found in zip(wanted, await self._infos(wanted), strict=True):
            if found is None or found.status == RUNNING:
                continue
            self._ended.add(workflow_id)
            (parent,) = await self._infos([found.parent_execution.workflow_id])
            if parent and parent.status != RUNNING and _end(parent) <= _end(found):
                await self._client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())

    async def _infos(self, workflow_ids: Iterable[str]) -> list[WorkflowExecutionInfo | None]:
        return await asyncio.gather(*(info_of(self._client, workflow_id) for workflow_id in workflow_ids))


async def info_of(client: Client, workflow_id: str) -> WorkflowExecutionInfo | None:
    """What the server says of a workflow; None if there is none.

    Asked without the SDK's own description, which cannot read the unset search attributes that this server gives back.
    """
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
    )
    try:
        answer = await client.workflow_service.describe_workflow_execution(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    return answer.workflow_execution_info


def _end(info: WorkflowExecutionInfo) -> int:
    return info.close_time.ToNanoseconds()
