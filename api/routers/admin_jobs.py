"""Jobs as admins see them: every one, with what Temporal's visibility knows, and assignment by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query
from pydantic import ConfigDict, StringConstraints
from temporalio.client import Client
from temporalio.service import RPCError

from api.act_ids import stay_of
from api.dependencies import ResourcesDep
from api.job_desk import ActView, DeskDep
from api.job_views import JobDetail, JobSummary, detail, summary
from api.openapi import AUTHENTICATED, WITH_BODY, problems
from api.pagination import Page, PageDep, fetch_page
from api.routers.jobs import QueriesDep
from api.score_views import FactorView
from api.security import AdminOnly
from api.types import EntityId, PathId, RequestModel, ResponseModel
from app.errors import InvalidFieldError
from app.jobs.change import OfferStatus
from app.jobs.models import Job
from app.lifecycle import Action, Status
from app.users.models import Role
from workflows.contracts import JOB_STATUS, Assign, Update, job_workflow_id

router = APIRouter(prefix="/admin/jobs", tags=["admin"])
_log = structlog.stdlib.get_logger(__name__)


class ProcessView(ResponseModel):
    """What Temporal's visibility says of the job's workflow; it may lag behind by a moment."""

    workflow_id: str
    run_id: str
    execution_status: str
    job_status: str | None = None
    history_length: int
    started_at: datetime
    closed_at: datetime | None = None


class AdminJobView(JobSummary):
    """A job in the admins' list; `process` is null when Temporal does not know it or cannot be asked."""

    client_id: EntityId
    worker_id: EntityId | None = None
    needs_admin: bool
    needs_admin_reason: str | None = None
    process: ProcessView | None = None


class CardView(ResponseModel):
    """How one worker fared in a round, or why they were passed over."""

    worker_id: EntityId
    rank: int | None = None
    score: int
    eligible: bool
    passed_over_reason: str | None = None
    factors: list[FactorView]


class RankingView(ResponseModel):
    """The whole score card of a round."""

    round: int
    version: str
    widened: bool
    at: datetime
    required_skills: list[str]
    cards: list[CardView]


class AdminOfferView(ResponseModel):
    """One offer and what became of it."""

    number: int
    worker_id: EntityId
    status: OfferStatus
    round: int
    rank: int
    score: int
    made_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    reason: str | None = None


class AdminJobDetail(JobDetail):
    """One job with its offers and score cards."""

    offers: list[AdminOfferView]
    rankings: list[RankingView]


class AssignBody(RequestModel):
    """Whom, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"workerId": "6561f0c2a4b7d9e8f0123456", "reason": "Knows the client"}]
        }
    )
    worker_id: EntityId
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)] = ""


@router.get("", responses=problems(*AUTHENTICATED, "wrong-role", "invalid-request", "invalid-cursor"))
async def list_jobs(
    principal: AdminOnly,
    resources: ResourcesDep,
    page: PageDep,
    status: Annotated[Status | None, Query(description="Only jobs in this status.")] = None,
    needs_admin: Annotated[
        bool | None, Query(alias="needsAdmin", description="Only jobs that wait for us.")
    ] = None,
) -> Page[AdminJobView]:
    """Every job, newest first, with its process as Temporal sees it."""
    del principal
    query: dict[str, Any] = {}
    if status is not None:
        query["status"] = status.value
    if needs_admin is not None:
        query["needsAdmin"] = needs_admin
    documents, cursor = await fetch_page(
        resources.database["jobs"],
        query,
        page,
        scope=f"admin-jobs:{status}:{needs_admin}",
        projection={"timeline": 0, "files": 0},
    )
    jobs = [Job.model_validate(document) for document in documents]
    processes = await _processes(resources.temporal, [job.id for job in jobs])
    items = [
        AdminJobView(
            **summary(job, Role.ADMIN).model_dump(),
            client_id=job.client_id,
            worker_id=job.worker_id,
            needs_admin=job.needs_admin,
            needs_admin_reason=job.needs_admin_reason,
            process=processes.get(job_workflow_id(job.id)),
        )
        for job in jobs
    ]
    return Page[AdminJobView](items=items, next_cursor=cursor)


@router.get("/{job_id}", responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request"))
async def read_job(job_id: PathId, principal: AdminOnly, queries: QueriesDep) -> AdminJobDetail:
    """One job with every offer and the whole score card of every round."""
    job = await queries.get(job_id, role=principal.role, user_id=principal.user_id)
    offers, rankings = await queries.offers_of(job), await queries.rankings_of(job)
    return AdminJobDetail(
        **detail(job, Role.ADMIN).model_dump(),
        offers=[AdminOfferView.model_validate(offer, from_attributes=True) for offer in offers],
        rankings=[RankingView.model_validate(record, from_attributes=True) for record in rankings],
    )


@router.post(
    "/{job_id}/assign",
    responses=problems(
        *AUTHENTICATED,
        *WITH_BODY,
        "wrong-role",
        "not-found",
        "wrong-state",
        "worker-at-capacity",
        "idempotency-key-reused",
        "outcome-unknown",
    ),
)
async def assign(
    job_id: PathId, body: AssignBody, principal: AdminOnly, resources: ResourcesDep, desk: DeskDep
) -> ActView:
    """Give the job to a worker by hand; an open offer is withdrawn."""
    job = await desk.job(job_id, principal)
    worker = await resources.users.standing(body.worker_id)
    if worker is None or worker.role is not Role.WORKER or worker.disabled:
        raise InvalidFieldError("#/workerId", "is not an enabled worker")
    act = Assign(**desk.fields(principal, body), worker_id=body.worker_id, reason=body.reason)
    # The worker is part of the act: two admins with two choices each get an answer of their own.
    stay = stay_of(job, act.actor, Action.ASSIGN)
    update_id = f"{Update.ASSIGN}:{stay}:{job.refusals}:{body.worker_id}"
    return await desk.hand_over(job, Update.ASSIGN, update_id, act)


async def _processes(client: Client, job_ids: list[str]) -> dict[str, ProcessView]:
    """The workflows of these jobs from Temporal's visibility; nothing when it cannot be asked."""
    if not job_ids:
        return {}
    names = ", ".join(f"'{job_workflow_id(job_id)}'" for job_id in job_ids)
    found: dict[str, ProcessView] = {}
    try:
        async for execution in client.list_workflows(
            f"WorkflowId IN ({names})", page_size=len(job_ids), rpc_timeout=timedelta(seconds=1)
        ):
            found[execution.id] = ProcessView(
                workflow_id=execution.id,
                run_id=execution.run_id,
                execution_status=execution.status.name.lower() if execution.status else "unknown",
                job_status=execution.typed_search_attributes.get(JOB_STATUS),
                history_length=execution.history_length,
                started_at=execution.start_time,
                closed_at=execution.close_time,
            )
    except (RPCError, RuntimeError) as error:
        _log.warning("visibility_not_answering", reason=type(error).__name__)
    return found
