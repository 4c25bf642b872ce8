"""Where a caller's act on a job is taken in, handed to the job's process, and answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends
from pydantic import StringConstraints

from api.act_ids import stay_of
from api.dependencies import CorrelationId
from api.job_gateway import ActRefusedError, JobGateway, WorkflowEndedError, body_hash
from api.openapi import AUTHENTICATED
from api.routers.jobs import GatewayDep, QueriesDep
from api.security import Principal
from api.types import EntityId, RequestModel, ResponseModel
from app.documents import utcnow
from app.errors import OutcomeUnknownError
from app.jobs.errors import JobErrorCode
from app.jobs.models import Job, Offer
from app.jobs.queries import JobQueries
from app.lifecycle import Action, ActNotAllowedError, Actor, Phase, State, Status, cell_for
from workflows.contracts import (
    Act,
    ActResult,
    DisputeInput,
    Reasoned,
    Update,
    dispute_workflow_id,
    job_workflow_id,
)

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1_000)]
ACT = (*AUTHENTICATED, "wrong-role", "not-found", "invalid-request", "wrong-state", "outcome-unknown")
OFFER = (*ACT, "offer-not-found", "offer-expired", "offer-declined", "offer-withdrawn", "job-taken")


class ActView(ResponseModel):
    """Where the job is after the act."""

    job_id: EntityId
    status: Status
    phase: Phase
    seq: int
    deadline: datetime | None = None


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
        self,
        job: Job,
        update: Update,
        update_id: str,
        act: Act,
        *,
        offer: Offer | None = None,
        workflow_id: str | None = None,
    ) -> ActView:
        """Let the job's process decide, or the one that is named; the last record once it has ended."""
        process = workflow_id or job_workflow_id(job.id)
        try:
            answer = await self.gateway.act(process, update, update_id, act, ActResult)
        except WorkflowEndedError:
            # It may have ended since the job was read, as by its own approval of the work.
            last = await self.queries.find(job.id) or job
            raise _answer_from_projection(last, Action(update.value), act.actor, offer) from None
        return ActView.model_validate(answer, from_attributes=True)

    async def open_dispute(self, job: Job, act: Reasoned, *, update_id: str | None = None) -> ActView:
        """Open a dispute with the job's process, or over the completed job; named by where the job is then."""
        if job.status is not Status.COMPLETED:
            try:
                return await self.hand_over(job, Update.OPEN_DISPUTE, update_id or _opening(job, act), act)
            except ActRefusedError:
                # It may have been completed since it was read, as by its own approval of the work.
                job = await self.queries.find(job.id) or job
                if job.status is not Status.COMPLETED:
                    raise
        completed_at, policy = job.completed_at or job.updated_at, job.policy
        closed_at = completed_at + timedelta(seconds=policy.dispute_window_seconds)
        if utcnow() >= closed_at:  # the process would say so too; this spares its start
            raise ActRefusedError(
                JobErrorCode.DISPUTE_WINDOW_CLOSED,
                f"The time to open a dispute about this job ended at {closed_at:%Y-%m-%d %H:%M:%S} UTC.",
                closedAt=closed_at.isoformat(),
            )
        dispute = DisputeInput(
            job_id=job.id,
            client_id=job.client_id,
            worker_id=job.worker_id or "",
            completed_at=completed_at,
            window_seconds=policy.dispute_window_seconds,
            evidence_seconds=policy.evidence_seconds,
            reminder_seconds=policy.rescue_reminder_seconds,
            payouts=[item.number for item in job.parts.present_accruals],
            correlation_id=self.correlation_id,
        )
        answer = await self.gateway.open_completed_dispute(dispute, update_id or _opening(job, act), act)
        return ActView.model_validate(answer, from_attributes=True)

    async def hand_to_dispute(self, job: Job, update: Update, update_id: str, act: Act) -> ActView:
        """Let whoever holds the dispute decide: the job's process, or that of a dispute over the completed job.

        A ruling may complete the job: who repeats it asks the job's process again, which keeps its answer.
        """
        over_completed = job.status is Status.COMPLETED and job.is_disputed_after_completion
        process = dispute_workflow_id(job.id) if over_completed else None
        return await self.hand_over(job, update, update_id, act, workflow_id=process)

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


def _opening(job: Job, act: Reasoned) -> str:
    return f"{Update.OPEN_DISPUTE}:{act.actor}:{stay_of(job, act.actor, Action.OPEN_DISPUTE)}"


def _desk(queries: QueriesDep, gateway: GatewayDep, correlation_id: CorrelationId) -> JobDesk:
    return JobDesk(queries, gateway, correlation_id)


DeskDep = Annotated[JobDesk, Depends(_desk)]


def wrong_state(job: Job, message: str) -> ActRefusedError:
    """The refusal of what the job's state does not allow, with that state."""
    return ActRefusedError(JobErrorCode.WRONG_STATE, message, status=job.status.value, phase=job.phase.value)


def _answer_from_projection(job: Job, action: Action, actor: Actor, offer: Offer | None) -> Exception:
    """What the job's process would have said, once it has ended (or before it has begun)."""
    if offer is not None and offer.status.value in ("expired", "declined", "withdrawn"):
        code = JobErrorCode(f"offer-{offer.status.value}")
        return ActRefusedError(code, f"This offer was {offer.status.value}; it cannot be answered any more.")
    try:
        cell_for(State(job.status, job.phase), action, actor)
    except ActNotAllowedError as error:
        return wrong_state(job, f"{error}.")
    return ActRefusedError(JobErrorCode.WRONG_STATE, "The job is not ready for this act yet; try again soon.")
