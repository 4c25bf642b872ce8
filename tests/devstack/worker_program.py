"""A process as the platform has them: connects, runs a worker, does one workflow, leaves with the status it is told.

python -m tests.devstack.worker_program ADDRESS TASK_QUEUE STATUS
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from app.process import leave


@activity.defn
async def answer() -> int:
    """Something to do."""
    return 42


@workflow.defn
class OneActivity:
    """One activity, and its result."""

    @workflow.run
    async def run(self) -> int:
        return await workflow.execute_activity(answer, start_to_close_timeout=timedelta(seconds=10))


async def work(address: str, task_queue: str) -> int:
    """Run the workflow on a worker of this process."""
    client = await Client.connect(address)
    async with Worker(client, task_queue=task_queue, workflows=[OneActivity], activities=[answer]):
        return await client.execute_workflow(OneActivity.run, id=task_queue, task_queue=task_queue)


if __name__ == "__main__":
    assert asyncio.run(work(sys.argv[1], sys.argv[2])) == 42
    leave(int(sys.argv[3]))
