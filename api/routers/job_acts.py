"""What people do to a job. Each act is handed to the job's process, which alone decides and writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, StringConstraints

from api.dependencies import CorrelationId
from api.job_gateway import ActRefusedError, JobGateway, WorkflowEndedError, body_hash
from api.openapi import AUTHENTICATED, WITH_BODY, problems
from api.routers.jobs import GatewayDep, QueriesDep
from api.security import ClientOnly, Principal, WorkerOnly
from api.types import EntityId, PathId, RequestModel, ResponseModel
from app.errors import InvalidFieldError, OutcomeUnknownError
from app.files.models import FilePurpose, FileStatus
from app.jobs.errors import JobErrorCode
from app.jobs.models import Job, Offer
from app.jobs.queries import JobQueries
from app.lifecycle import Action, ActNotAllowedError, Actor, Phase, State, Status, cell_for
from workflows.contracts import (
    Act,
    ActResult,
    DeclineOffer,
    RequestRevision,
    Submit,
    Update,
    job_workflow_id,
)

router = APIRouter(prefix="/jobs", tags=["jobs"])

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1_000)]
_ACT = (*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "wrong-state", "outcome-unknown")
_OFFER = (*_ACT, "offer-not-found", "offer-expired", "offer-declined", "offer-withdrawn", "job-taken")


class ActView(ResponseModel):
    """Where the job is after the act."""

    job_id: EntityId
    status: Status
    phase: Phase
    seq: int
    deadline: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class JobDesk:
    """Where one caller's act on one job is taken in, handed to the job's process, and answered."""

    queries: JobQueries
    gateway: JobGateway
    correlation_id: str

    async def job(self, job_id: str, principal: Principal) -> Job:
        """The job, if it is the caller's.

        Raises:
            NotFoundError: it is not.
        """
        return await self.queries.get(job_id, role=principal.role, user_id=principal.user_id)

    async def offer(self, job_id: str, principal: Principal) -> tuple[Job, int, Offer | None]:
        """The job, the number of the caller's own offer, and the offer unless it is the one that is open.

        The job alone tells of the open offer, so that the common answer costs one read, and a worker who has heard
        of an offer can accept it before the offer's own record is written. Others learn nothing of it.

        Raises:
            ActRefusedError: the job was never offered to the caller.
        """
        job = await self.queries.find(job_id)
        if job and job.offered_worker_id == principal.user_id:
            return job, job.offer_number, None
        offer = await self.queries.last_offer(job, principal.user_id) if job else None
        if offer is None or job is None:
            raise ActRefusedError(JobErrorCode.OFFER_NOT_FOUND, "This job has not been offered to you.")
        return job, offer.number, offer

    def fields(self, principal: Principal, body: RequestModel | None = None) -> dict[str, Any]:
        """What every act carries."""
        return {
            "actor": Actor(principal.role.value),
            "actor_id": principal.user_id,
            "body_hash": body_hash(body),
            "correlation_id": self.correlation_id,
        }

    async def hand_over(
        self, job: Job, update: Update, update_id: str, act: Act, *, offer: Offer | None = None
    ) -> ActView:
        """Let the job's process decide, or the last record once the process has ended."""
        try:
            answer = await self.gateway.act(job_workflow_id(job.id), update, update_id, act, ActResult)
        except WorkflowEndedError:
            # It may have ended since the job was read, as by its own approval of the work.
            last = await self.queries.find(job.id) or job
            raise _answer_from_projection(last, Action(update.value), act.actor, offer) from None
        return ActView.model_validate(answer, from_attributes=True)

    async def answer_offer(
        self, job: Job, update: Update, update_id: str, act: Act, *, offer: Offer | None
    ) -> ActView:
        """Hand over the answer to an offer that is on record.

        Raises:
            OutcomeUnknownError: the process does not know of the offer yet: it was written down by a worker that died,
                and is about to be made again.
        """
        try:
            return await self.hand_over(job, update, update_id, act, offer=offer)
        except ActRefusedError as refused:
            if refused.code == JobErrorCode.OFFER_NOT_FOUND:
                raise OutcomeUnknownError from refused
            raise


def _desk(queries: QueriesDep, gateway: GatewayDep, correlation_id: CorrelationId) -> JobDesk:
    return JobDesk(queries, gateway, correlation_id)


DeskDep = Annotated[JobDesk, Depends(_desk)]


@router.post(
    "/{job_id}/offer/accept", responses=problems(*_OFFER, "worker-at-capacity", "idempotency-key-reused")
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


@router.post("/{job_id}/offer/decline", responses=problems(*_OFFER, *WITH_BODY, "idempotency-key-reused"))
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


@router.post("/{job_id}/quote/approve", responses=problems(*_ACT, "insufficient-credits"))
async def approve_quote(
    job_id: PathId,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Agree to a price above `maxCredits`; the credits are held and workers are asked."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    return await desk.hand_over(job, Update.APPROVE_QUOTE, f"{Update.APPROVE_QUOTE}:{job.refusals}", act)


@router.post("/{job_id}/quote/decline", responses=problems(*_ACT))
async def decline_quote(
    job_id: PathId,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Say no to the price; the job ends without charge."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    return await desk.hand_over(job, Update.DECLINE_QUOTE, Update.DECLINE_QUOTE, act)


@router.post("/{job_id}/start", responses=problems(*_ACT))
async def start(
    job_id: PathId,
    principal: WorkerOnly,
    desk: DeskDep,
) -> ActView:
    """Begin the work, or begin again after a revision was asked for."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    return await desk.hand_over(job, Update.START, f"{Update.START}:{job.revision_count}", act)


@router.post(
    "/{job_id}/submit", responses=problems(*_ACT, *WITH_BODY, "idempotency-key-reused", "no-deliverable")
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
    return await desk.hand_over(job, Update.SUBMIT, f"{Update.SUBMIT}:{job.revision_count}", act)


@router.post("/{job_id}/approve", responses=problems(*_ACT))
async def approve(
    job_id: PathId,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Approve the work: the held credits are spent and the worker is paid."""
    job = await desk.job(job_id, principal)
    act = Act(**desk.fields(principal))
    return await desk.hand_over(job, Update.APPROVE, f"{Update.APPROVE}:{len(job.deliveries)}", act)


@router.post(
    "/{job_id}/request-revision",
    responses=problems(*_ACT, *WITH_BODY, "idempotency-key-reused", "revision-limit-reached"),
)
async def request_revision(
    job_id: PathId,
    body: RevisionBody,
    principal: ClientOnly,
    desk: DeskDep,
) -> ActView:
    """Send the work back, and say what is missing."""
    job = await desk.job(job_id, principal)
    act = RequestRevision(**desk.fields(principal, body), reason=body.reason)
    update_id = f"{Update.REQUEST_REVISION}:{len(job.deliveries)}"
    return await desk.hand_over(job, Update.REQUEST_REVISION, update_id, act)


def _answer_from_projection(job: Job, action: Action, actor: Actor, offer: Offer | None) -> Exception:
    """What the job's process would have said, once it has ended (or before it has begun)."""
    if offer is not None and offer.status.value in ("expired", "declined", "withdrawn"):
        code = JobErrorCode(f"offer-{offer.status.value}")
        return ActRefusedError(code, f"This offer was {offer.status.value}; it cannot be answered any more.")
    try:
        cell_for(State(job.status, job.phase), action, actor)
    except ActNotAllowedError as error:
        return ActRefusedError(
            JobErrorCode.WRONG_STATE, f"{error}.", status=job.status.value, phase=job.phase.value
        )
    return ActRefusedError(JobErrorCode.WRONG_STATE, "The job is not ready for this act yet; try again soon.")


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
    if not fresh and job.deliveries and len(job.deliveries) > job.revision_count:
        return job.deliveries[-1].file_ids
    if not fresh:
        raise ActRefusedError(
            "no-deliverable", "Upload and confirm at least one deliverable before you submit."
        )
    return fresh
