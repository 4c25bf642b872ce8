"""What people do with a job that is completed: they rate, dispute, and are ruled on; and money goes to the bank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from app.ids import new_id
from app.jobs.change import DisputeStatus
from app.jobs.models import Job
from app.lifecycle import COMPLETION_DISPUTED, Action, Actor, State
from app.reviews.models import review_id
from tests.support.completed import give_account
from tests.support.jobs import JobHarness
from tests.support.scenes import ADMIN
from workflows.contracts import (
    DISPUTE_WORKFLOW,
    Act,
    ActResult,
    DisputeInput,
    ExtendDeadline,
    RatingResult,
    Reasoned,
    Rule,
    SubmitRating,
    TaskQueue,
    Update,
    dispute_workflow_id,
    ratings_workflow_id,
    task_queue,
)

# Definite answers to somebody who is late, or whom the other side was quicker than.
HONEST = {"wrong-state", "dispute-window-closed", "rating-window-closed"}
DISPUTES = 2  # of one completed job, at most
_RATE, _OPEN, _TO_THE_BANK = 0.5, 0.12, 0.06
_SHARES = [0, 2_500, 3_333, 10_000]


@dataclass
class CompletedJobs:
    """Both sides of completed jobs, and the admins who rule. `closing`: nobody begins anything new."""

    jobs: JobHarness
    now: Callable[[], Awaitable[datetime]]
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    without_account: list[str] = field(default_factory=list)
    closing: bool = False

    async def turn(self, job: Job, die: Random) -> None:
        """One throw of the job's die."""
        if State(job.status, job.phase) == COMPLETION_DISPUTED:
            await self._end_dispute(job, die)
        elif not self.closing and die.random() < _OPEN:
            await self._open(job, die.choice([Actor.CLIENT, Actor.WORKER]))
        elif die.random() < _TO_THE_BANK:
            await self._to_the_bank(job)
        elif die.random() < _RATE:
            await self._rate(job, die)

    async def finish_an_account(self) -> None:
        """Somebody who has earned without an account gets one; what is held for them is sent when it is tried again."""
        if self.without_account:
            await give_account(self.jobs, self.without_account.pop())
            self.done["finish an account"] += 1

    # --- disputes

    async def _open(self, job: Job, by: Actor) -> None:
        disputed = [
            entry.action for entry in job.timeline if State(entry.status, entry.phase) == COMPLETION_DISPUTED
        ]
        if disputed.count(Action.OPEN_DISPUTE) >= DISPUTES:
            return
        policy, settings = job.policy, self.jobs.resources.settings
        dispute = DisputeInput(
            job_id=job.id,
            client_id=job.client_id,
            worker_id=str(job.worker_id),
            completed_at=job.completed_at or job.updated_at,
            window_seconds=policy.dispute_window_seconds,
            evidence_seconds=policy.evidence_seconds,
            reminder_seconds=policy.rescue_reminder_seconds,
            payouts=[item.number for item in job.parts.present_accruals],
        )
        # As the door does it, in two steps: the time-skipping server knows no update with start.
        handle = await self.jobs.resources.client.start_workflow(
            DISPUTE_WORKFLOW,
            dispute,
            id=dispute_workflow_id(job.id),
            task_queue=task_queue(TaskQueue.JOBS, settings.task_queue_prefix),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        act = Reasoned(actor=by, actor_id=_party(job, by), reason="not what we agreed")
        await self._update(handle, Update.OPEN_DISPUTE, act, "dispute when completed")

    async def _end_dispute(self, job: Job, die: Random) -> None:
        dispute, throw = job.dispute, die.random()
        if dispute is None or dispute.status is not DisputeStatus.OPEN:
            raise AssertionError(f"{job.id} is disputed without a dispute")
        by_admin: dict[str, Any] = {"actor": Actor.ADMIN, "actor_id": ADMIN, "reason": "for a reason"}
        rule = Rule(**by_admin, worker_share_basis_points=die.choice([*_SHARES, die.randint(1, 9_999)]))
        if self.closing or throw < 0.3:
            await self._on_dispute(job, Update.RULE, rule)
        elif throw < 0.4:
            opener = Act(actor=dispute.opened_by, actor_id=dispute.opened_by_id)
            await self._on_dispute(job, Update.WITHDRAW_DISPUTE, opener)
        elif throw < 0.55:
            await self._on_dispute(job, Update.DISMISS_DISPUTE, Reasoned(**by_admin))
        elif throw < 0.6:
            later = max(await self.now(), job.deadline or dispute.evidence_until) + timedelta(hours=6)
            await self._on_dispute(job, Update.EXTEND_DEADLINE, ExtendDeadline(**by_admin, to=later))

    async def _on_dispute(self, job: Job, update: Update, act: Act) -> None:
        handle = self.jobs.resources.client.get_workflow_handle(dispute_workflow_id(job.id))
        await self._update(handle, update, act, f"{update.value} when completed")

    async def _update(self, handle: WorkflowHandle[Any, Any], update: Update, act: Act, name: str) -> None:
        try:
            await handle.execute_update(update, act, id=new_id(), result_type=ActResult)
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            if not isinstance(cause, ApplicationError) or cause.type not in HONEST:
                raise
            self.refused[str(cause.type)] += 1
        except RPCError as error:  # the time-skipping server forgets an update that a validator refused
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            self.refused["came too late"] += 1
        else:
            self.done[name] += 1

    # --- money and stars

    async def _to_the_bank(self, job: Job) -> None:
        """The worker's account is emptied, so that what a ruling takes back later is a debt."""
        worker, payments = await self.jobs.user(str(job.worker_id)), self.jobs.resources.payments
        account = worker["workerProfile"].get("stripeAccountId")
        cents = await payments.available_cents(account) if account else 0
        if cents >= self.jobs.resources.settings.payout_minimum_usd_cents["KH"]:
            await payments.create_payout(account, cents, idempotency_key=new_id())
            self.done["empty an account"] += 1

    async def _rate(self, job: Job, die: Random) -> None:
        actor = die.choice([Actor.CLIENT, Actor.WORKER])
        if await self.jobs.database["reviews"].find_one({"_id": review_id(job.id, actor)}):
            return
        handle = self.jobs.resources.client.get_workflow_handle(ratings_workflow_id(job.id))
        act = SubmitRating(actor=actor, actor_id=_party(job, actor), rating=die.randint(1, 5))
        try:
            await handle.execute_update(Update.SUBMIT_RATING, act, result_type=RatingResult)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            self.refused["came too late"] += 1
        else:
            self.done["rate"] += 1


def _party(job: Job, actor: Actor) -> str:
    return job.client_id if actor is Actor.CLIENT else str(job.worker_id)
