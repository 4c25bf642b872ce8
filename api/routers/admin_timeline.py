"""One job's whole story for those who help people, and what happens next if nobody acts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import structlog
from fastapi import APIRouter
from pydantic import Field
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from api.dependencies import ResourcesDep
from api.job_gateway import JobGateway
from api.openapi import AUTHENTICATED, problems
from api.routers.jobs import GatewayDep, QueriesDep
from api.security import AdminOnly
from api.types import CreditsOut, EntityId, PathId, ResponseModel
from app.documents import utcnow
from app.jobs.models import Job
from app.lifecycle import CLOSED_TO_JOB_WORKFLOW, Actor, Phase, State, Status
from app.support import record
from app.support.coming import coming
from app.support.models import Live, PayoutWait, StoryKind, Waiting
from app.support.story import tell
from workflows.contracts import (
    JobStateView,
    archive_workflow_id,
    dispute_workflow_id,
    job_workflow_id,
    payout_workflow_id,
    ratings_workflow_id,
)
from workflows.followers import CompletedDisputeView, PayoutView, RatingsView

router = APIRouter(prefix="/admin/jobs", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)

_MAX_RUNS = 100


class StoryEntryView(ResponseModel):
    """One thing that happened: `what` is its stable name, `text` says it plainly. Notices have no words here."""

    at: datetime
    kind: StoryKind
    what: str
    text: str
    actor: Actor | None = None
    actor_id: str | None = None
    seq: int | None = Field(default=None, description="Of the job, for what moved it.")
    credits: CreditsOut | None = None
    usd_cents: int | None = None
    details: dict[str, Any]


class ComingView(ResponseModel):
    """What happens at an instant if nobody acts; an instant in the past is due."""

    at: datetime
    what: str
    text: str


class RunView(ResponseModel):
    """One run of one of the job's processes, as Temporal's visibility knows it; it may lag behind by a moment."""

    workflow_id: str
    run_id: str
    kind: str
    execution_status: str
    history_length: int
    started_at: datetime
    closed_at: datetime | None = None


class SupportTimeline(ResponseModel):
    """The story in time order, what comes next, and the processes. `live`: a process of the job answered for it."""

    job_id: EntityId
    status: Status
    phase: Phase
    live: bool
    entries: list[StoryEntryView]
    next: list[ComingView]
    processes: list[RunView] = Field(description="Empty when Temporal cannot be asked.")


@router.get(
    "/{job_id}/timeline", responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request")
)
async def read_timeline(
    job_id: PathId,
    principal: AdminOnly,
    queries: QueriesDep,
    gateway: GatewayDep,
    resources: ResourcesDep,
) -> SupportTimeline:
    """Everything that happened to a job: acts, timers, money, readings, offers, files, time, evidence, notices."""
    job = await queries.get(job_id, role=principal.role, user_id=principal.user_id)
    found = await record.gather(resources.database, job.id)
    live = await _live(gateway, job)
    return SupportTimeline(
        job_id=job.id,
        status=job.status,
        phase=job.phase,
        live=live != Live(),
        entries=[StoryEntryView.model_validate(entry, from_attributes=True) for entry in tell(found)],
        next=[
            ComingView.model_validate(item, from_attributes=True) for item in coming(job, live, now=utcnow())
        ],
        processes=await _runs(resources.temporal, job),
    )


async def _live(gateway: JobGateway, job: Job) -> Live:
    """What the processes that still run say; the record speaks for the others."""
    if State(job.status, job.phase) not in CLOSED_TO_JOB_WORKFLOW:
        view = await gateway.look(job_workflow_id(job.id), JobStateView)
        own = None if view is None else Waiting.model_validate(view, from_attributes=True)
        return Live(job=own, payouts=await _payouts(gateway, job))
    dispute, ratings, payouts = await asyncio.gather(
        gateway.look(dispute_workflow_id(job.id), CompletedDisputeView),
        gateway.look(ratings_workflow_id(job.id), RatingsView),
        _payouts(gateway, job),
    )
    waits = dispute is not None and dispute.deadline is not None
    return Live(
        dispute=Waiting(deadline=dispute.deadline, deadline_action=dispute.deadline_action)
        if dispute and waits
        else None,
        payouts=payouts,
        ratings_close_at=ratings.closes_at if ratings and ratings.revealed_at is None else None,
    )


async def _payouts(gateway: JobGateway, job: Job) -> list[PayoutWait]:
    numbers = [accrual.number for accrual in job.accruals]
    views = await asyncio.gather(
        *(gateway.look(payout_workflow_id(job.id, number), PayoutView) for number in numbers)
    )
    return [
        PayoutWait(number=number, reason=view.reason and view.reason.value, next_try_at=view.next_try_at)
        for number, view in zip(numbers, views, strict=True)
        if view and view.next_try_at
    ]


async def _runs(client: Client, job: Job) -> list[RunView]:
    """Every run of the job's processes, the first first; none when Temporal cannot be asked."""
    ids = [
        job_workflow_id(job.id),
        dispute_workflow_id(job.id),
        ratings_workflow_id(job.id),
        archive_workflow_id(job.id),
        *(payout_workflow_id(job.id, accrual.number) for accrual in job.accruals),
    ]
    names = ", ".join(f"'{name}'" for name in ids)
    try:
        runs = [
            _run(run)
            async for run in client.list_workflows(
                f"WorkflowId IN ({names})", limit=_MAX_RUNS, rpc_timeout=timedelta(seconds=1)
            )
        ]
    except (RPCError, RuntimeError) as error:
        _log.warning("visibility_not_answering", reason=type(error).__name__)
        return []
    return sorted(runs, key=lambda run: run.started_at)


def _run(run: WorkflowExecution) -> RunView:
    return RunView(
        workflow_id=run.id,
        run_id=run.run_id,
        kind=run.workflow_type,
        execution_status=run.status.name.lower() if run.status else "unknown",
        history_length=run.history_length,
        started_at=run.start_time,
        closed_at=run.close_time,
    )
