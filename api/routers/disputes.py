"""Disputes over open work and completed jobs: opened by either side, ended by an admin or by who opened it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field, StringConstraints

from api.dependencies import ResourcesDep
from api.idempotency import IdempotencyDep
from api.job_desk import ACT, ActView, DeskDep, Reason, wrong_state
from api.openapi import AUTHENTICATED, CREATING, WITH_BODY, problems
from api.security import AdminOnly, AnyRole, ClientOrWorker
from api.types import CreditsOut, EntityId, PathId, RequestModel, ResponseModel
from app.disputes.models import Evidence
from app.disputes.preview import ruling_preview
from app.disputes.store import add_evidence, evidence_of
from app.errors import NotFoundError
from app.jobs.change import DisputeStatus
from app.jobs.models import Job
from app.jobs.parts import standing_parts
from app.jobs.policy import BASIS
from app.lifecycle import ActNotAllowedError, Actor
from app.money.earnings import Earnings
from app.users.models import Role
from workflows.contracts import Act, Reasoned, Rule, Update

router = APIRouter(tags=["disputes"])

_READ = (*AUTHENTICATED, "not-found", "invalid-request")


class DisputeBody(RequestModel):
    """What is wrong, in the words of the one who asks for a ruling; both sides and the admins read it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "The files are not what we agreed"}]}
    )
    reason: Reason


class RuleBody(RequestModel):
    """The worker's share in basis points, from none (all back to the client) to the whole, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"workerShareBasisPoints": 6000, "reason": "Most of it is usable"}]}
    )
    worker_share_basis_points: Annotated[int, Field(strict=True, ge=0, le=BASIS)]
    reason: Reason


class EvidenceBody(RequestModel):
    """What the admin should know; files are those of the job."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "See the second file, page 3"}]})
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=5_000)]
    file_ids: Annotated[list[EntityId], Field(max_length=20)] = Field(default_factory=list)


class EvidenceView(ResponseModel):
    """One statement, by one side."""

    by: Actor
    at: datetime
    text: str
    file_ids: list[EntityId]


class DisputeView(ResponseModel):
    """The last dispute of a job, and what both sides said."""

    number: int
    status: DisputeStatus
    opened_by: Actor
    reason: str
    opened_at: datetime
    evidence_until: datetime
    worker_share_basis_points: int | None = None
    ruling_reason: str | None = None
    closed_at: datetime | None = None
    evidence: list[EvidenceView]


class StandingPartView(ResponseModel):
    """What a worker who left before was paid, and the client for them; null where it was not kept."""

    worker_id: EntityId
    assignment: int
    client_paid: CreditsOut | None
    worker_earned_usd_cents: int | None


class RulingPreviewView(ResponseModel):
    """What a share gives whom. `standing` is not divided: those workers are no side of the dispute."""

    client_pays: CreditsOut
    client_gets_back: CreditsOut
    worker_earns_usd_cents: int
    worker_loses_usd_cents: int
    standing: list[StandingPartView]


class RulingView(ActView):
    """Where the job is after the ruling, and what the ruling left as it was."""

    standing: list[StandingPartView]


@router.post(
    "/jobs/{job_id}/dispute",
    responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused", "dispute-window-closed"),
)
async def open_dispute(
    job_id: PathId, body: DisputeBody, principal: ClientOrWorker, desk: DeskDep
) -> ActView:
    """Ask for a ruling. All deadlines of the job stand still until it is closed.

    A completed job can be disputed for some days (the policy's dispute window); pay that is not sent yet stands still.
    """
    job = await desk.job(job_id, principal)
    act = Reasoned(**desk.fields(principal, body), reason=body.reason)
    return await desk.open_dispute(job, act)


@router.get("/jobs/{job_id}/dispute", responses=problems(*_READ))
async def read_dispute(job_id: PathId, principal: AnyRole, desk: DeskDep) -> DisputeView:
    """The job's last dispute, with the evidence of both sides."""
    job = await desk.job(job_id, principal)
    only_offered = principal.role is Role.WORKER and job.worker_id != principal.user_id
    if job.dispute is None or only_offered:
        raise NotFoundError("There is no dispute about this job.")
    evidence = await evidence_of(desk.queries.database, job.id, job.dispute.number)
    fields = job.dispute.model_dump(exclude={"opened_by_id"})
    return DisputeView(**fields, evidence=[_evidence(item) for item in evidence])


@router.post(
    "/jobs/{job_id}/dispute/evidence",
    status_code=201,
    response_model=EvidenceView,
    responses=problems(
        *AUTHENTICATED, *WITH_BODY, *CREATING, "wrong-role", "not-found", "wrong-state", "evidence-closed"
    ),
)
async def give_evidence(
    job_id: PathId,
    body: EvidenceBody,
    principal: ClientOrWorker,
    desk: DeskDep,
    idempotency: IdempotencyDep,
) -> object:
    """Add what the admin should know, while the evidence is open."""
    job = await desk.job(job_id, principal)

    async def work(evidence_id: str) -> EvidenceView:
        evidence = await add_evidence(
            desk.queries.database,
            job,
            evidence_id=evidence_id,
            by=Actor(principal.role.value),
            author_id=principal.user_id,
            text=body.text,
            file_ids=body.file_ids,
        )
        return _evidence(evidence)

    return await idempotency.run(principal.user_id, body, work)


@router.post("/jobs/{job_id}/dispute/withdraw", responses=problems(*ACT, "not-the-opener"))
async def withdraw_dispute(job_id: PathId, principal: ClientOrWorker, desk: DeskDep) -> ActView:
    """Take the dispute back, if you opened it; the job goes on where it was."""
    job = await desk.job(job_id, principal)
    update_id = f"{Update.WITHDRAW_DISPUTE}:{_number(job)}:{principal.role.value}"
    return await desk.hand_to_dispute(job, Update.WITHDRAW_DISPUTE, update_id, Act(**desk.fields(principal)))


@router.get(
    "/admin/jobs/{job_id}/dispute/ruling-preview",
    responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "wrong-state"),
)
async def preview_ruling(
    job_id: PathId,
    principal: AdminOnly,
    desk: DeskDep,
    resources: ResourcesDep,
    share: Annotated[
        int, Query(alias="workerShareBasisPoints", ge=0, le=BASIS, description="The worker's share.")
    ] = BASIS,
) -> RulingPreviewView:
    """What a ruling would give whom, and the parts of workers who left before, which it leaves as they are."""
    job = await desk.job(job_id, principal)
    database = resources.database
    try:
        preview = await ruling_preview(
            database, resources.credits, Earnings(database), job, share_basis_points=share
        )
    except ActNotAllowedError as error:
        raise wrong_state(job, f"{error}.") from None
    return RulingPreviewView.model_validate(preview, from_attributes=True)


@router.post(
    "/admin/jobs/{job_id}/dispute/rule", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused")
)
async def rule(job_id: PathId, body: RuleBody, principal: AdminOnly, desk: DeskDep) -> RulingView:
    """End the dispute with a share for the worker; the rest returns to the client.

    Over a completed job it is a share of what was spent and earned: pay that was sent is taken back, or owed. What a
    worker was paid who left the job before stands, and is named in the answer.
    """
    job = await desk.job(job_id, principal)
    act = Rule(
        **desk.fields(principal, body),
        reason=body.reason,
        worker_share_basis_points=body.worker_share_basis_points,
    )
    done = await desk.hand_to_dispute(job, Update.RULE, f"{Update.RULE}:{_number(job)}", act)
    parts = standing_parts(job.former_workers)
    return RulingView(
        **dict(done),
        standing=[StandingPartView.model_validate(part, from_attributes=True) for part in parts],
    )


@router.post(
    "/admin/jobs/{job_id}/dispute/dismiss", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused")
)
async def dismiss(job_id: PathId, body: DisputeBody, principal: AdminOnly, desk: DeskDep) -> ActView:
    """Find nothing to rule on: the job goes on where it was, with its deadlines moved."""
    job = await desk.job(job_id, principal)
    act = Reasoned(**desk.fields(principal, body), reason=body.reason)
    return await desk.hand_to_dispute(
        job, Update.DISMISS_DISPUTE, f"{Update.DISMISS_DISPUTE}:{_number(job)}", act
    )


def _number(job: Job) -> int:
    return job.dispute.number if job.dispute else 0


def _evidence(item: Evidence) -> EvidenceView:
    return EvidenceView(by=item.by, at=item.at, text=item.text, file_ids=item.file_ids)
