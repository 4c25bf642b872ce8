"""Starts the process of a posted job. Repeatable: a job has one workflow, whoever starts it and however often."""

from __future__ import annotations

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
    CLIENT_ID,
    JOB_STATUS,
    JOB_WORKFLOW,
    NEEDS_ADMIN,
    URGENCY,
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
