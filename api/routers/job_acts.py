"""What people do to a job. Each act is handed to the job's process, which alone decides and writes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StringConstraints

from api.act_ids import stay_of
from api.job_desk import ACT, OFFER, ActView, DeskDep, Reason
from api.job_gateway import ActRefusedError
from api.openapi import WITH_BODY, problems
from api.security import ClientOnly, WorkerOnly
from api.types import EntityId, PathId, RequestModel
from app.errors import InvalidFieldError
from app.files.models import FilePurpose, FileStatus
from app.jobs.models import Job
from app.lifecycle import Action
from workflows.contracts import Act, DeclineOffer, RequestRevision, Submit, Update

router = APIRouter(prefix="/jobs", tags=["jobs"])


class DeclineBody(RequestModel):
    """Why not; it is remembered and feeds the ranking, and the client does not see it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "I am away until Monday"}]})
    reason: Reason


class SubmitBody(RequestModel):
    """What is delivered: confirmed deliverables; all that are new, when none is named."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Both pages, and the sources"}]})
    file_ids: Annotated[list[EntityId], Field(min_length=1, max_length=50)] | None = None
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""


class RevisionBody(RequestModel):
    """What is to be changed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The logo is the old one"}]})
    reason: Reason


@router.post(
    "/{job_id}/offer/accept", responses=problems(*OFFER, "worker-at-capacity", "idempotency-key-reused")
)
async def accept_offer(
    job_id: PathId,
    principal: WorkerOnly,
    desk: DeskDep,
) -> ActView:
    """Accept an offer: a definite yes, or exactly why not. Repeating an accepted offer gets the same yes."""
    job, number, offer = await desk.offer(job_id, principal)
    act = Act(**desk.fields(principal))
    update_id = f"{Update.ACCEPT_OFFER}:{number}:{job.refusals}"
    return await desk.answer_offer(job, Update.ACCEPT_OFFER, update_id, act, offer=offer)


@router.post("/{job_id}/offer/decline", responses=problems(*OFFER, *WITH_BODY, "idempotency-key-reused"))
async def decline_offer(
    job_id: PathId,
    body: DeclineBody,
    principal: WorkerOnly,
    desk: DeskDep,
) -> ActView:
    """Decline an offer, with a reason; the next worker is asked at once."""
    job, number, offer = await desk.offer(job_id, principal)
    act = DeclineOffer(**desk.fields(principal, body), reason=body.reason)
    update_id = f"{Update.DECLINE_OFFER}:{number}"
    return await desk.answer_offer(job, Update.DECLINE_OFFER, update_id, act, offer=offer)


@router.post("/{job_id}/start", responses=problems(*ACT))
async def start(
    job_id: PathId,
    principal: WorkerOnly,
    desk: DeskDep,
) -> ActView:
    """Begin the work, or begin again after a revision was asked for."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    update_id = f"{Update.START}:{stay_of(job, act.actor, Action.START)}"
    return await desk.hand_over(job, Update.START, update_id, act)


@router.post(
    "/{job_id}/submit", responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused", "no-deliverable")
)
async def submit(
    job_id: PathId,
    body: SubmitBody,
    principal: WorkerOnly,
    desk: DeskDep,
) -> ActView:
    """Deliver the work: at least one confirmed deliverable."""
    job = await desk.job(job_id, principal)
    file_ids = _deliverables(job, body.file_ids, principal.user_id)
    act = Submit(**desk.fields(principal, body), file_ids=file_ids, note=body.note)
    update_id = f"{Update.SUBMIT}:{stay_of(job, act.actor, Action.SUBMIT)}"
    return await desk.hand_over(job, Update.SUBMIT, update_id, act)


@router.post("/{job_id}/extend-review", responses=problems(*ACT, "already-extended"))
async def extend_review(job_id: PathId, principal: ClientOnly, desk: DeskDep) -> ActView:
    """Take more time to look at the delivery, once; the automatic approval moves with it."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    update_id = f"{Update.EXTEND_REVIEW}:{stay_of(job, act.actor, Action.EXTEND_REVIEW)}"
    return await desk.hand_over(job, Update.EXTEND_REVIEW, update_id, act)


@router.post("/{job_id}/approve", responses=problems(*ACT))
async def approve(
    job_id: PathId,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Approve the work: the held credits are spent and the worker is paid."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    update_id = f"{Update.APPROVE}:{stay_of(job, act.actor, Action.APPROVE)}"
    return await desk.hand_over(job, Update.APPROVE, update_id, act)


@router.post(
    "/{job_id}/request-revision",
    responses=problems(*ACT, *WITH_BODY, "idempotency-key-reused"),
)
async def request_revision(
    job_id: PathId,
    body: RevisionBody,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Send the work back, and say what is missing. Beyond the policy's limit it is quoted first, for your consent."""
    job = await desk.job(job_id, principal)
    act = RequestRevision(**desk.fields(principal, body), reason=body.reason)
    stay = stay_of(job, act.actor, Action.REQUEST_REVISION, Action.REQUEST_EXTRA_REVISION)
    update_id = f"{Update.REQUEST_REVISION}:{stay}"
    return await desk.hand_over(job, Update.REQUEST_REVISION, update_id, act)


def _deliverables(job: Job, wanted: list[str] | None, worker_id: str) -> list[str]:
    """The files to deliver: those named, or every confirmed one that was not delivered before.

    Raises:
        InvalidFieldError: one that is named is not a confirmed deliverable of this worker.
        ActRefusedError: there is none.
    """
    confirmed = [
        file.file_id
        for file in job.files
        if file.purpose is FilePurpose.DELIVERABLE
        and file.status is FileStatus.CONFIRMED
        and file.uploaded_by == worker_id
    ]
    if wanted is not None:
        if unknown := [file_id for file_id in wanted if file_id not in confirmed]:
            raise InvalidFieldError("#/fileIds", f"{unknown[0]} is not a confirmed deliverable of this job")
        return list(dict.fromkeys(wanted))
    delivered = {file_id for delivery in job.deliveries for file_id in delivery.file_ids}
    fresh = [file_id for file_id in confirmed if file_id not in delivered]
    # A repeat of the last submission names the same files again, so that it gets the same answer.
    last = job.deliveries[-1] if job.deliveries else None
    if not fresh and last and last.assignment == job.assignments and not job.due_at:
        return last.file_ids
    if not fresh:
        raise ActRefusedError(
            "no-deliverable", "Upload and confirm at least one deliverable before you submit."
        )
    return fresh
