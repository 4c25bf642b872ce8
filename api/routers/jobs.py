"""Jobs: posting them, and reading them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, StringConstraints
from starlette.responses import Response

from api.dependencies import CorrelationId, ResourcesDep
from api.idempotency import IdempotencyDep
from api.job_gateway import JobGateway, WorkflowEndedError
from api.job_views import JobDetail, JobSummary, StateView, detail, live_state, recorded_state, summary
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.pagination import Page, PageDep, fetch_page
from api.security import AnyRole, ClientOnly
from api.types import CreditsIn, PathId, RequestModel
from app.errors import OutcomeUnknownError
from app.jobs.models import Job
from app.jobs.policy import Urgency
from app.jobs.posting import insert_job, new_job
from app.jobs.queries import JobQueries, visible_to
from app.lifecycle import Status
from app.subscriptions.store import get_standing_subscription
from app.users.models import Role
from workflows.starting import start_job

router = APIRouter(prefix="/jobs", tags=["jobs"])

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=140)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, min_length=20, max_length=20_000)]


class PostJob(RequestModel):
    """A client's post. `maxCredits` is consent up to there: above it the job waits for a yes to its quote."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Landing page for a bakery",
                    "description": "One responsive page with our menu, photos and a contact form. Copy is ready.",
                    "urgency": "normal",
                    "maxCredits": 20,
                }
            ]
        }
    )

    title: Title
    description: Description
    urgency: Urgency = Urgency.NORMAL
    max_credits: CreditsIn | None = None


def _queries(resources: ResourcesDep) -> JobQueries:
    return JobQueries(resources.database)


def _gateway(resources: ResourcesDep) -> JobGateway:
    return JobGateway(resources.temporal, resources.settings)


QueriesDep = Annotated[JobQueries, Depends(_queries)]
GatewayDep = Annotated[JobGateway, Depends(_gateway)]


@router.post(
    "",
    status_code=201,
    response_model=JobDetail,
    responses=problems(
        *AUTHENTICATED,
        *WITH_BODY,
        *CREATING,
        "wrong-role",
        "subscription-not-found",
        "subscription-ended",
    ),
)
async def post(
    body: PostJob,
    principal: ClientOnly,
    resources: ResourcesDep,
    idempotency: IdempotencyDep,
    correlation_id: CorrelationId,
) -> Response:
    """Post a job; its process starts at once.

    If the answer is 503 after the job was stored, its process is started by a sweep, or by repeating the request
    with the same `Idempotency-Key`.
    """

    async def work(job_id: str) -> JobDetail:
        subscription = await get_standing_subscription(principal.user_id)
        job = new_job(
            job_id,
            client_id=principal.user_id,
            title=body.title,
            description=body.description,
            urgency=body.urgency,
            max_credits=body.max_credits,
            rate=subscription.plan.rate,
            policy=await resources.policies.current(),
            correlation_id=correlation_id,
        )
        job = await insert_job(resources.database, job)
        try:
            async with asyncio.timeout(resources.settings.dependency_timeout_seconds):
                await start_job(resources.temporal, job, resources.settings)
        except TimeoutError:
            raise OutcomeUnknownError from None
        return detail(job, Role.CLIENT)

    return await idempotency.run(principal.user_id, body, work)


@router.get("", responses=problems(*AUTHENTICATED, "invalid-request", "invalid-cursor"))
async def list_own(
    principal: AnyRole,
    resources: ResourcesDep,
    page: PageDep,
    status: Annotated[Status | None, Query(description="Only jobs in this status.")] = None,
) -> Page[JobSummary]:
    """The caller's jobs, newest first: a client's own, a worker's assigned and offered ones, an admin's all."""
    query = visible_to(principal.role, principal.user_id)
    if status is not None:
        query = query | {"status": status.value}
    documents, cursor = await fetch_page(
        resources.database["jobs"],
        query,
        page,
        scope=f"jobs:{principal.user_id}:{status}",
        projection={"timeline": 0, "files": 0},
    )
    items = [summary(Job.model_validate(document), principal.role) for document in documents]
    return Page[JobSummary](items=items, next_cursor=cursor)


@router.get("/{job_id}", responses=problems(*AUTHENTICATED, "not-found", "invalid-request"))
async def read(job_id: PathId, principal: AnyRole, queries: QueriesDep) -> JobDetail:
    """One job with its timeline."""
    job = await queries.get(job_id, role=principal.role, user_id=principal.user_id)
    return detail(job, principal.role)


@router.get("/{job_id}/state", responses=problems(*AUTHENTICATED, "not-found", "invalid-request"))
async def state(job_id: PathId, principal: AnyRole, queries: QueriesDep, gateway: GatewayDep) -> StateView:
    """The live state from the job's own process: what is awaited, from whom, until when, and what you may do."""
    job = await queries.get(job_id, role=principal.role, user_id=principal.user_id)
    try:
        view = await gateway.state(job_id)
    except WorkflowEndedError:
        return recorded_state(job, principal.role)
    return live_state(view, principal.role, principal.user_id)
