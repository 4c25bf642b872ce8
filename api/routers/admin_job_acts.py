"""What admins do to a running job: give it to another, move its deadlines, propose a price."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, ConfigDict, Field

from api.act_ids import stay_of
from api.dependencies import PoliciesDep
from api.job_desk import ACT, ActView, DeskDep, Reason
from api.openapi import WITH_BODY, problems
from api.security import AdminOnly
from api.types import CreditsIn, PathId, RequestModel
from app.jobs.policy import BASIS
from app.lifecycle import Action
from app.policies.models import MAX_VERSION
from workflows.contracts import ChangePolicy, ExtendDeadline, ProposePrice, Reassign, Update

router = APIRouter(prefix="/admin/jobs", tags=["admin"])


class ReassignBody(RequestModel):
    """Why, and what the leaving worker gets when it is not what the policy says: a share in basis points."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Does not answer", "shareBasisPoints": 2500}]}
    )
    reason: Reason
    share_basis_points: Annotated[int, Field(strict=True, ge=0, le=BASIS)] | None = None


class ExtendBody(RequestModel):
    """The new moment, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"to": "2026-12-01T09:00:00Z", "reason": "The client sent files late"}]
        }
    )
    to: AwareDatetime
    reason: Reason


class ProposeBody(RequestModel):
    """The whole new price in credits, and why; it counts once the client agrees."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"credits": 15, "reason": "More pages than the brief says"}]}
    )
    credits: Annotated[CreditsIn, Field(gt=0)]
    reason: Reason


class PolicyBody(RequestModel):
    """Which version of the policy, and why; it is written into the job's timeline."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 4, "reason": "The client was promised a longer review"}]}
    )
    version: Annotated[int, Field(strict=True, ge=1, le=MAX_VERSION)]
    reason: Reason


@router.post("/{job_id}/reassign", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused"))
async def reassign(job_id: PathId, body: ReassignBody, principal: AdminOnly, desk: DeskDep) -> ActView:
    """Take the job from its worker; it goes to the next, as when the worker leaves by themselves."""
    job = await desk.job(job_id, principal)
    act = Reassign(
        **desk.fields(principal, body), reason=body.reason, share_basis_points=body.share_basis_points
    )
    return await desk.hand_over(
        job, Update.REASSIGN, f"{Update.REASSIGN}:{stay_of(job, act.actor, Action.REASSIGN)}", act
    )


@router.post(
    "/{job_id}/extend-deadline",
    responses=problems(*ACT, *WITH_BODY, "deadline-not-later", "idempotency-key-reused"),
)
async def extend_deadline(job_id: PathId, body: ExtendBody, principal: AdminOnly, desk: DeskDep) -> ActView:
    """Move what the job waits for: the due time while work is due, else the deadline of its state."""
    job = await desk.job(job_id, principal)
    act = ExtendDeadline(**desk.fields(principal, body), reason=body.reason, to=body.to)
    stay = stay_of(job, act.actor, Action.EXTEND_DEADLINE)
    update_id = f"{Update.EXTEND_DEADLINE}:{stay}:{_stamp(body.to)}"
    return await desk.hand_to_dispute(job, Update.EXTEND_DEADLINE, update_id, act)


@router.post(
    "/{job_id}/propose-price",
    responses=problems(*ACT, *WITH_BODY, "price-not-higher", "idempotency-key-reused"),
)
async def propose_price(job_id: PathId, body: ProposeBody, principal: AdminOnly, desk: DeskDep) -> ActView:
    """Ask the client for a higher price for a job that nobody took."""
    job = await desk.job(job_id, principal)
    act = ProposePrice(**desk.fields(principal, body), reason=body.reason, credits=body.credits)
    update_id = f"{Update.PROPOSE_PRICE}:{stay_of(job, act.actor, Action.PROPOSE_PRICE)}:{body.credits}"
    return await desk.hand_over(job, Update.PROPOSE_PRICE, update_id, act)


@router.post("/{job_id}/policy", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused"))
async def move_to_policy(
    job_id: PathId, body: PolicyBody, principal: AdminOnly, desk: DeskDep, policies: PoliciesDep
) -> ActView:
    """Move a running job to another version of the policy: for what is decided from now on, not for clocks that run."""
    job = await desk.job(job_id, principal)
    policy = (await policies.version(body.version)).policy
    act = ChangePolicy(**desk.fields(principal, body), policy=policy, reason=body.reason)
    update_id = f"{Update.CHANGE_POLICY}:{job.seq}:{body.version}"
    return await desk.hand_over(job, Update.CHANGE_POLICY, update_id, act)


def _stamp(moment: datetime) -> str:
    return str(int(moment.timestamp()))
