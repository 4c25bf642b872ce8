"""Starts processes. Repeatable: each has one workflow, whoever starts it and however often."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from app.jobs.models import Job
from app.settings import Settings
from workflows.contracts import (
    BANK_PAYOUTS_WORKFLOW,
    CLIENT_ID,
    JOB_STATUS,
    JOB_WORKFLOW,
    NEEDS_ADMIN,
    URGENCY,
    BankPayoutsInput,
    JobInput,
    TaskQueue,
    job_workflow_id,
    task_queue,
)


def job_input(job: Job, settings: Settings) -> JobInput:
    """The start message of a posted job."""
    return JobInput(
        job_id=job.id,
        client_id=job.client_id,
        urgency=job.urgency,
        rate=job.rate,
        max_credits=job.max_credits,
        policy=job.policy,
        parse_with_openai=settings.openai_api_key is not None,
        posted_at=job.created_at,
        correlation_id=job.correlation_id,
    )


async def start_job(client: Client, job: Job, settings: Settings) -> bool:
    """Start the job's workflow; False when it runs, or ran, already.

    Raises:
        temporalio.service.RPCError: Temporal cannot be reached, or did not answer in time.
    """
    try:
        await client.start_workflow(
            JOB_WORKFLOW,
            job_input(job, settings),
            id=job_workflow_id(job.id),
            task_queue=task_queue(TaskQueue.JOBS, settings.task_queue_prefix),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(JOB_STATUS, job.status.value),
                    SearchAttributePair(CLIENT_ID, job.client_id),
                    SearchAttributePair(URGENCY, job.urgency.value),
                    SearchAttributePair(NEEDS_ADMIN, value=False),
                ]
            ),
            static_summary=f"{job.urgency.value} urgency",
            rpc_timeout=timedelta(seconds=settings.dependency_timeout_seconds),
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def start_bank_payouts(client: Client, run: BankPayoutsInput, run_id: str, settings: Settings) -> str:
    """Pay workers out now, besides the schedule; the id of the workflow, which may run, or have run, already.

    Raises:
        temporalio.service.RPCError: Temporal cannot be reached, or did not answer in time.
    """
    workflow_id = f"{settings.task_queue_prefix}bank-payouts-{run_id}"
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            BANK_PAYOUTS_WORKFLOW,
            run,
            id=workflow_id,
            task_queue=task_queue(TaskQueue.BILLING, settings.task_queue_prefix),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            static_summary="Pay workers out on demand",
            rpc_timeout=timedelta(seconds=settings.dependency_timeout_seconds),
        )
    return workflow_id
