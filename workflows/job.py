"""The job: one durable process from post to payout.

`run` is a loop over the lifecycle's phases. People's acts arrive as updates: a validator refuses what the state
does not allow (leaving no event behind), the handler takes the job's one lock, looks again, and moves the state.
Who came first never decides; the state and the workflow's clock do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.jobs.change import OfferStatus
    from app.jobs.errors import JobErrorCode
    from app.lifecycle import (
        AWAITING_APPROVAL,
        CLOSED_TO_JOB_WORKFLOW,
        OFFERING,
        QUOTING,
        RANKING,
        RESCUE,
        Action,
        Actor,
    )
    from workflows import job_acts, job_details
    from workflows.contracts import (
        JOB_WORKFLOW,
        Act,
        ActResult,
        Assign,
        DeclineOffer,
        JobInput,
        JobResult,
        JobStateView,
        RequestRevision,
        Submit,
    )

from workflows.job_process import JobProcess


@workflow.defn(name=JOB_WORKFLOW)
class JobWorkflow(JobProcess):
    """One job. Its state moves only along `app.lifecycle.TABLE`."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        """Make the state before any update can arrive."""
        super().__init__(job)

    @workflow.run
    async def run(self, job: JobInput) -> JobResult:  # noqa: ARG002  # read by __init__
        """Live the job's life; ends when only payout, ratings and archive are left."""
        async with self._lock:
            await self._parse_and_quote()
        steps: dict[object, Callable[[], Awaitable[None]]] = {
            QUOTING: self._await_consent,
            RANKING: self._choose_next,
            OFFERING: self._await_answer,
            RESCUE: self._await_rescue,
            AWAITING_APPROVAL: self._await_approval,
        }
        while self._state.state not in CLOSED_TO_JOB_WORKFLOW:
            step = steps.get(self._state.state)
            if step:
                await step()
            else:
                await self._wait_for_act(None, "")
        async with self._lock:  # the act that ended the loop may still be settling
            await self._start_followers()
        await workflow.wait_condition(workflow.all_handlers_finished)
        projection = self._state.projection
        return JobResult(
            status=projection.status,
            phase=projection.phase,
            seq=self._state.seq,
            spent_credits=projection.spent_credits,
            earned_usd_cents=projection.earned_usd_cents,
        )

    @workflow.query(name="state")
    def state(self) -> JobStateView:
        """The live state, what is awaited and from whom."""
        return self._state.view()

    # --- acts of people

    @workflow.update
    async def accept_offer(self, act: Act) -> ActResult:
        """A worker accepts: a definite yes, or why not."""
        async with self._lock:
            if job_acts.has_accepted(self._state, act):
                return self._state.answer(act)
            job_acts.check_offer(self._state, act, workflow.now())
            draft = self._state.model_copy(deep=True)
            draft.close_offer(OfferStatus.ACCEPTED, at=workflow.now())
            return await self._assign(draft, Action.ACCEPT_OFFER, act, act.actor_id)

    @accept_offer.validator
    def _validate_accept_offer(self, act: Act) -> None:
        if not job_acts.has_accepted(self._state, act):
            job_acts.check_offer(self._state, act, workflow.now())
            job_acts.check_patience(self._state, act, workflow.now())

    @workflow.update
    async def assign(self, act: Assign) -> ActResult:
        """An admin gives the job to a worker by hand; an open offer is withdrawn."""
        async with self._lock:
            job_acts.check(self._state, Action.ASSIGN, act)
            draft = self._state.model_copy(deep=True)
            draft.close_offer(OfferStatus.WITHDRAWN, at=workflow.now(), reason="assigned by an admin")
            return await self._assign(draft, Action.ASSIGN, act, act.worker_id, reason=act.reason)

    @assign.validator
    def _validate_assign(self, act: Assign) -> None:
        job_acts.check(self._state, Action.ASSIGN, act)

    @workflow.update
    async def decline_offer(self, act: DeclineOffer) -> ActResult:
        """A worker says no; the next is asked at once."""
        async with self._lock:
            job_acts.check_offer(self._state, act, workflow.now(), action=Action.DECLINE_OFFER)
            now = workflow.now()
            self._state.close_offer(OfferStatus.DECLINED, at=now, reason=act.reason)
            self._state.apply(Action.DECLINE_OFFER, Actor.WORKER, at=now, act=act, reason=act.reason)
            await self._record(act, rivals=True)
            return self._state.answer(act)

    @decline_offer.validator
    def _validate_decline_offer(self, act: DeclineOffer) -> None:
        job_acts.check_offer(self._state, act, workflow.now(), action=Action.DECLINE_OFFER)

    @workflow.update
    async def approve_quote(self, act: Act) -> ActResult:
        """The client agrees to a price above the consent given in the post; the credits are held."""
        async with self._lock:
            job_acts.check(self._state, Action.APPROVE_QUOTE, act)
            held = await self._hold_credits(rivals=True)
            if not held.held:
                await self._refuse(
                    act,
                    JobErrorCode.INSUFFICIENT_CREDITS,
                    f"The job needs {job_details.credits_text(self._price())}; "
                    f"{job_details.credits_text(held.available)} are available.",
                )
            self._state.apply(Action.APPROVE_QUOTE, Actor.CLIENT, at=workflow.now(), act=act)
            await self._record(act)
            return self._state.answer(act)

    @approve_quote.validator
    def _validate_approve_quote(self, act: Act) -> None:
        job_acts.check(self._state, Action.APPROVE_QUOTE, act)
        job_acts.check_patience(self._state, act, workflow.now())

    @workflow.update
    async def decline_quote(self, act: Act) -> ActResult:
        """The client says no to the price; the job ends without charge."""
        async with self._lock:
            job_acts.check(self._state, Action.DECLINE_QUOTE, act)
            self._state.apply(Action.DECLINE_QUOTE, Actor.CLIENT, at=workflow.now(), act=act)
            await self._record(act, rivals=True)
            return self._state.answer(act)

    @decline_quote.validator
    def _validate_decline_quote(self, act: Act) -> None:
        job_acts.check(self._state, Action.DECLINE_QUOTE, act)

    @workflow.update
    async def start(self, act: Act) -> ActResult:
        """The worker begins, or begins again after a revision was asked for."""
        async with self._lock:
            job_acts.check(self._state, Action.START, act)
            self._state.projection.started_at = self._state.projection.started_at or workflow.now()
            self._state.apply(Action.START, Actor.WORKER, at=workflow.now(), act=act)
            self._state.notify("job.started", self._state.input.client_id)
            await self._record(act)
            return self._state.answer(act)

    @start.validator
    def _validate_start(self, act: Act) -> None:
        job_acts.check(self._state, Action.START, act)

    @workflow.update
    async def submit(self, act: Submit) -> ActResult:
        """The worker delivers; the client's time to answer starts anew."""
        async with self._lock:
            job_acts.check(self._state, Action.SUBMIT, act)
            now, state = workflow.now(), self._state
            delivery = state.add_delivery(act.file_ids, act.note, at=now)
            deadline = now + timedelta(seconds=state.input.policy.auto_approve_seconds)
            state.apply(
                Action.SUBMIT,
                Actor.WORKER,
                at=now,
                act=act,
                details={"delivery": delivery.number, "files": len(act.file_ids)},
                deadline=deadline,
                deadline_action=Action.AUTO_APPROVE,
            )
            state.notify("job.submitted", state.input.client_id, deadline=deadline)
            await self._record(act)
            return state.answer(act)

    @submit.validator
    def _validate_submit(self, act: Submit) -> None:
        job_acts.check(self._state, Action.SUBMIT, act)

    @workflow.update
    async def approve(self, act: Act) -> ActResult:
        """The client is satisfied: the hold is spent, the pay is earned, the job is completed."""
        async with self._lock:
            job_acts.check(self._state, Action.APPROVE, act)
            await self._complete(Action.APPROVE, Actor.CLIENT, act)
            return self._state.answer(act)

    @approve.validator
    def _validate_approve(self, act: Act) -> None:
        job_acts.check(self._state, Action.APPROVE, act)

    @workflow.update
    async def request_revision(self, act: RequestRevision) -> ActResult:
        """The client sends the work back, within the policy's limit."""
        async with self._lock:
            job_acts.check_revision(self._state, act)
            state = self._state
            state.projection.revision_count += 1
            state.apply(Action.REQUEST_REVISION, Actor.CLIENT, at=workflow.now(), act=act, reason=act.reason)
            state.notify("job.revision_requested", state.projection.worker_id, reason=act.reason)
            await self._record(act, rivals=True)
            return state.answer(act)

    @request_revision.validator
    def _validate_request_revision(self, act: RequestRevision) -> None:
        job_acts.check_revision(self._state, act)
