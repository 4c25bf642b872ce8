"""How a job ends early, or loses its worker: what it costs first, then the act on just these terms."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, StringConstraints

from api.act_ids import stay_of
from api.dependencies import ResourcesDep
from api.job_desk import ACT, ActView, DeskDep, Reason, wrong_state
from api.openapi import AUTHENTICATED, WITH_BODY, problems
from api.security import ClientOrAdmin, WorkerOnly
from api.types import CreditsOut, PathId, RequestModel, ResponseModel
from app.documents import utcnow
from app.errors import NotFoundError
from app.jobs.preview import cancel_preview, withdraw_preview
from app.jobs.terms import Reason as TermsReason
from app.lifecycle import Action, ActNotAllowedError, Actor
from app.users.models import Role
from workflows.contracts import Cancel, Reasoned, Update

router = APIRouter(prefix="/jobs", tags=["jobs"])


class CancelPreview(ResponseModel):
    """Exactly what a cancel costs whom, now. Send `version` with the cancel: other terms are refused."""

    version: str
    reason: TermsReason
    client_pays: CreditsOut
    client_gets_back: CreditsOut
    worker_earns_usd_cents: int | None = None  # not shown to clients


class WithdrawPreview(ResponseModel):
    """What you earn if you leave the job now."""

    reason: TermsReason
    worker_earns_usd_cents: int


class CancelBody(RequestModel):
    """Why, and the version of the preview that was agreed to."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"previewVersion": "0f3a9c1d2b4e5f60", "reason": "No longer needed"}]}
    )
    preview_version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    reason: Reason


class WithdrawBody(RequestModel):
    """Why; the admins see it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "I am ill and cannot go on"}]})
    reason: Reason


@router.get(
    "/{job_id}/cancel-preview",
    responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "wrong-state"),
)
async def preview_cancel(
    job_id: PathId, principal: ClientOrAdmin, desk: DeskDep, resources: ResourcesDep
) -> CancelPreview:
    """What a cancel would cost, without doing it."""
    job = await desk.job(job_id, principal)
    actor = Actor(principal.role.value)
    try:
        terms, version = await cancel_preview(resources.database, job, actor, now=utcnow())
    except ActNotAllowedError as error:
        raise wrong_state(job, f"{error}.") from None
    return CancelPreview(
        version=version,
        reason=terms.reason,
        client_pays=terms.client_pays,
        client_gets_back=terms.client_gets_back,
        worker_earns_usd_cents=terms.worker_earns_usd_cents if principal.role is Role.ADMIN else None,
    )


@router.post(
    "/{job_id}/cancel", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused", "stale-preview")
)
async def cancel(job_id: PathId, body: CancelBody, principal: ClientOrAdmin, desk: DeskDep) -> ActView:
    """End the job on the terms of the preview."""
    job = await desk.job(job_id, principal)
    act = Cancel(**desk.fields(principal, body), reason=body.reason, preview_version=body.preview_version)
    update_id = f"{Update.CANCEL}:{act.actor}:{body.preview_version}"
    return await desk.hand_over(job, Update.CANCEL, update_id, act)


@router.get(
    "/{job_id}/withdraw-preview",
    responses=problems(*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "wrong-state"),
)
async def preview_withdraw(
    job_id: PathId, principal: WorkerOnly, desk: DeskDep, resources: ResourcesDep
) -> WithdrawPreview:
    """What you would earn if you left the job, without leaving it."""
    job = await desk.job(job_id, principal)
    try:
        terms = await withdraw_preview(resources.database, job, now=utcnow())
    except ActNotAllowedError as error:
        raise wrong_state(job, f"{error}.") from None
    return WithdrawPreview(reason=terms.reason, worker_earns_usd_cents=terms.worker_earns_usd_cents)


@router.post("/{job_id}/withdraw", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused"))
async def withdraw(job_id: PathId, body: WithdrawBody, principal: WorkerOnly, desk: DeskDep) -> ActView:
    """Give the job up; it goes to the next worker, and you are not asked again. A repeat gets the same answer."""
    job = await desk.queries.find(job_id)
    parties = {job.worker_id, *(item.worker_id for item in job.former_workers)} if job else set()
    if job is None or principal.user_id not in parties:
        raise NotFoundError("There is no such job.")
    act = Reasoned(**desk.fields(principal, body), reason=body.reason)
    former = None if job.worker_id == principal.user_id else principal.user_id
    stay = stay_of(job, act.actor, Action.WITHDRAW, by=former)
    return await desk.hand_over(job, Update.WITHDRAW, f"{Update.WITHDRAW}:{stay}", act)
