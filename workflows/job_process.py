"""What a job does by itself: read the brief, price it, find a worker, settle, and hand over to what outlives it.

The base of `workflows.job.JobWorkflow`, which adds the acts of people.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.jobs import JobActivities
    from activities.parsing import ParsingActivities
    from app.jobs.change import OfferStatus
    from app.jobs.errors import JobErrorCode
    from app.jobs.policy import Urgency
    from app.jobs.pricing import quote
    from app.lifecycle import (
        RANKING,
        RATING,
        Action,
        Actor,
    )
    from app.parsing.models import ParsedBrief
    from workflows import job_details, job_options
    from workflows.contracts import (
        ARCHIVE_WORKFLOW,
        PAYOUT_WORKFLOW,
        RATINGS_WORKFLOW,
        Act,
        ActResult,
        ArchiveInput,
        AssignWorker,
        CompleteJob,
        HoldCredits,
        HoldCreditsResult,
        JobInput,
        PayoutInput,
        RankWorkers,
        RatingsInput,
        TaskQueue,
        archive_workflow_id,
        payout_workflow_id,
        ratings_workflow_id,
        sibling_task_queue,
    )
    from workflows.job_acts import refusal
    from workflows.job_state import JobState


class JobProcess:
    """The state, its one lock, and every step that moves the state without a person."""

    def __init__(self, job: JobInput) -> None:
        """Make the state before any update can arrive."""
        self._state = JobState(input=job)
        self._lock = asyncio.Lock()
        self._visibility = job_details.Visibility()
        workflow.set_current_details(job_details.render(self._state))

    # --- the process

    async def _parse_and_quote(self) -> None:
        state, job = self._state, self._state.input
        state.apply(Action.START_PARSING, Actor.SYSTEM, at=workflow.now())
        parsed = await self._parse()
        pricing = quote(
            hours_likely=parsed.hours_likely, rate=job.rate, urgency=job.urgency, policy=job.policy
        )
        state.projection.parsed, state.projection.pricing = parsed, pricing
        shortfall = 0
        if job.max_credits is None or pricing.credits <= job.max_credits:
            held = await self._hold_credits()
            if held.held:
                state.apply(Action.HOLD_CREDITS, Actor.SYSTEM, at=workflow.now(), details=_reading(parsed))
                return
            shortfall = pricing.credits - held.available
        self._request_consent(parsed, shortfall)
        await self._record()

    def _request_consent(self, parsed: ParsedBrief, shortfall: int) -> None:
        state, job = self._state, self._state.input
        now = workflow.now()
        deadline = now + timedelta(seconds=job.policy.quote_consent_seconds)
        state.apply(
            Action.REQUEST_CONSENT,
            Actor.SYSTEM,
            at=now,
            reason=JobErrorCode.INSUFFICIENT_CREDITS if shortfall > 0 else "above max credits",
            details=_reading(parsed),
            deadline=deadline,
            deadline_action=Action.EXPIRE_QUOTE,
        )
        price = state.projection.pricing.credits if state.projection.pricing else 0
        if shortfall > 0:
            state.notify(
                "job.insufficient_credits", job.client_id, price_credits=price, shortfall_credits=shortfall
            )
        else:
            state.notify("job.quote", job.client_id, price_credits=price, expires_at=deadline)

    async def _parse(self) -> ParsedBrief:
        job = self._state.input
        if job.parse_with_openai:
            await self._record()  # reading may take a while: say that it has begun
            try:
                return await workflow.execute_activity_method(
                    ParsingActivities.parse_brief_with_openai,
                    job.job_id,
                    task_queue=sibling_task_queue(workflow.info().task_queue, TaskQueue.AI),
                    start_to_close_timeout=job_options.OPENAI_START_TO_CLOSE,
                    schedule_to_close_timeout=job_options.OPENAI_SCHEDULE_TO_CLOSE,
                    retry_policy=job_options.OPENAI_RETRY,
                    summary="Read the brief with the model",
                )
            except ActivityError:
                workflow.logger.warning("The model did not read the brief; the rules do")
        return await workflow.execute_local_activity_method(
            ParsingActivities.parse_brief_with_rules,
            job.job_id,
            **job_options.STORE,
            summary="Read the brief by rules",
        )

    async def _hold_credits(self, *, rivals: bool = False) -> HoldCreditsResult:
        """Hold the price. With `rivals`, such as the quote's expiry, only once the act is in the history."""
        price, summary = self._price(), f"Hold {job_details.credits_text(self._price())}"
        hold = HoldCredits(
            job_id=self._state.input.job_id, client_id=self._state.input.client_id, credits=price
        )
        if rivals:
            return await workflow.execute_activity_method(
                JobActivities.hold_credits, hold, **job_options.DECIDED, summary=summary
            )
        return await workflow.execute_local_activity_method(
            JobActivities.hold_credits, hold, **job_options.STORE, summary=summary
        )

    async def _await_consent(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "The client's answer to the quote"):
            return
        async with self._lock:
            if self._overdue(Action.EXPIRE_QUOTE):
                self._state.apply(Action.EXPIRE_QUOTE, Actor.SYSTEM, at=workflow.now())
                self._state.notify("job.cancelled", self._state.input.client_id, reason="quote expired")
                await self._record()

    async def _choose_next(self) -> None:
        async with self._lock:
            state, job = self._state, self._state.input
            if state.state != RANKING:
                return
            while not state.candidates and state.projection.round < job.policy.rounds:
                await self._rank()
            now = workflow.now()
            if state.candidates:
                window = job.policy.offer_window(job.urgency)
                offer = state.open_offer(state.candidates.pop(0), at=now, window=window)
                state.apply(
                    Action.MAKE_OFFER,
                    Actor.SYSTEM,
                    at=now,
                    details={"offer": offer.number, "round": offer.round, "rank": offer.rank},
                    deadline=offer.expires_at,
                    deadline_action=Action.EXPIRE_OFFER,
                )
                pay = state.projection.pricing.pay_usd_cents if state.projection.pricing else 0
                state.notify("job.offer", offer.worker_id, expires_at=offer.expires_at, pay_usd_cents=pay)
            else:
                self._escalate(now)
            await self._record()

    async def _rank(self) -> None:
        state, job = self._state, self._state.input
        parsed = state.projection.parsed
        state.projection.round += 1
        number = state.projection.round
        result = await workflow.execute_local_activity_method(
            JobActivities.rank_workers,
            RankWorkers(
                job_id=job.job_id,
                client_id=job.client_id,
                required_skills=parsed.required_skills if parsed else [],
                round=number,
                limit=job.policy.candidates_per_round,
                excluded=sorted({offer.worker_id for offer in state.offers}),
                widened=number > 1,
                urgent=job.urgency is Urgency.HIGH,
                at=workflow.now(),
            ),
            **job_options.STORE,
            summary=f"Rank workers, round {number}",
        )
        state.candidates = result.candidates

    def _escalate(self, now: datetime) -> None:
        state, job = self._state, self._state.input
        state.projection.needs_admin = True
        state.projection.needs_admin_reason = "no worker accepted"
        state.apply(
            Action.ESCALATE,
            Actor.SYSTEM,
            at=now,
            details={"offers": len(state.offers)},
            deadline=now + timedelta(seconds=job.policy.rescue_reminder_seconds),
            deadline_action=Action.REMIND_ADMINS,
        )
        state.notify("job.rescue", job.client_id)
        state.notify("job.rescue", None)

    async def _await_answer(self) -> None:
        state = self._state
        offer = state.offer
        summary = f"Offer {offer.number} lapses" if offer else ""
        if await self._wait_for_act(state.projection.deadline, summary):
            return
        async with self._lock:
            state = self._state
            offer = state.offer
            if offer and self._overdue(Action.EXPIRE_OFFER):
                now = workflow.now()
                state.close_offer(OfferStatus.EXPIRED, at=now)
                state.apply(Action.EXPIRE_OFFER, Actor.SYSTEM, at=now, details={"offer": offer.number})
                state.notify("job.offer_expired", offer.worker_id)
                await self._record()

    async def _await_rescue(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "Remind the admins"):
            return
        async with self._lock:
            if self._overdue(Action.REMIND_ADMINS):
                now = workflow.now()
                again = now + self._state.next_reminder()
                self._state.apply(
                    Action.REMIND_ADMINS,
                    Actor.SYSTEM,
                    at=now,
                    deadline=again,
                    deadline_action=Action.REMIND_ADMINS,
                )
                self._state.notify("job.rescue_reminder", None)
                await self._record()

    async def _await_approval(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "Approve for a silent client"):
            return
        async with self._lock:
            if self._overdue(Action.AUTO_APPROVE):
                await self._complete(Action.AUTO_APPROVE, Actor.SYSTEM, None)

    async def _complete(self, action: Action, actor: Actor, act: Act | None) -> None:
        state = self._state
        worker_id, pricing = state.projection.worker_id, state.projection.pricing
        if worker_id is None or pricing is None:
            raise RuntimeError("a job in review has a worker and a price")
        state.projection.completed_at = workflow.now()
        state.apply(action, actor, at=workflow.now(), act=act)
        money = {"spent_credits": pricing.credits, "earned_usd_cents": pricing.pay_usd_cents}
        state.notify("job.completed", state.input.client_id, **money)
        state.notify("job.completed", worker_id, **money)
        state.notify("review.invited", state.input.client_id)
        state.notify("review.invited", worker_id)
        self._publish()
        await workflow.execute_activity_method(
            JobActivities.complete_job,
            CompleteJob(
                worker_id=worker_id,
                credits=pricing.credits,
                pay_usd_cents=pricing.pay_usd_cents,
                change=state.take_change(act.correlation_id if act else None),
            ),
            **job_options.DECIDED,
            summary=f"Settle {job_details.credits_text(pricing.credits)}",
        )

    async def _start_followers(self) -> None:
        """Leave payout, ratings and archive to workflows that outlive this one; their ids keep them single."""
        state, job = self._state, self._state.input
        queue, worker_id = workflow.info().task_queue, state.projection.worker_id
        if state.state != RATING or worker_id is None:
            archive = ArchiveInput(job_id=job.job_id, client_id=job.client_id, seq=state.seq)
            await self._follow(ARCHIVE_WORKFLOW, archive, archive_workflow_id(job.job_id), queue)
            return
        payout = PayoutInput(
            job_id=job.job_id,
            worker_id=worker_id,
            client_id=job.client_id,
            amount_usd_cents=state.projection.earned_usd_cents,
            correlation_id=job.correlation_id,
        )
        ratings = RatingsInput(
            job_id=job.job_id,
            client_id=job.client_id,
            worker_id=worker_id,
            window_seconds=job.policy.rating_window_seconds,
            seq=state.seq,
            completed_at=state.projection.completed_at or workflow.now(),
            correlation_id=job.correlation_id,
        )
        billing = sibling_task_queue(queue, TaskQueue.BILLING)
        await asyncio.gather(
            self._follow(PAYOUT_WORKFLOW, payout, payout_workflow_id(job.job_id), billing),
            self._follow(RATINGS_WORKFLOW, ratings, ratings_workflow_id(job.job_id), queue),
        )

    async def _follow(self, name: str, arg: object, workflow_id: str, queue: str) -> None:
        with contextlib.suppress(WorkflowAlreadyStartedError):  # a reset run finds it there
            await workflow.start_child_workflow(
                name,
                arg,
                id=workflow_id,
                task_queue=queue,
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )

    # --- waiting and writing

    async def _wait_for_act(self, deadline: datetime | None, summary: str) -> bool:
        """Wait until the state moves; False when the deadline came first."""
        seq = self._state.seq
        left = None if deadline is None else deadline - workflow.now()
        if left is not None and left <= timedelta(0):
            return False
        try:
            await workflow.wait_condition(
                lambda: self._state.seq != seq, timeout=left, timeout_summary=summary or None
            )
        except TimeoutError:
            return False
        return True

    def _overdue(self, action: Action) -> bool:
        """Whether the act of the deadline is still due: an act of a person may have come while we waited."""
        deadline = self._state.projection.deadline
        due = deadline is not None and workflow.now() >= deadline
        return due and self._state.deadline_action is action

    def _publish(self) -> None:
        workflow.set_current_details(job_details.render(self._state))
        if updates := self._visibility.updates(self._state):
            workflow.upsert_search_attributes(updates)

    async def _refuse(self, act: Act, code: JobErrorCode, message: str) -> NoReturn:
        """Give the next try of a refused act an update id of its own: the server answers an old one for ever."""
        self._state.note_refusal(act.actor_id, code, message, at=workflow.now())
        await self._record(act)
        raise refusal(code, message)

    async def _record(self, act: Act | None = None, *, rivals: bool = False) -> None:
        """Store what has happened, in one activity: a local one, unless the act has rivals (see `DECIDED`)."""
        self._publish()
        change = self._state.take_change(act.correlation_id if act else None)
        summary = f"Record {self._state.state}"
        if rivals:
            await workflow.execute_activity_method(
                JobActivities.record_change, change, **job_options.DECIDED, summary=summary
            )
        else:
            await workflow.execute_local_activity_method(
                JobActivities.record_change, change, **job_options.STORE, summary=summary
            )

    # --- assigning and settling

    async def _assign(
        self, draft: JobState, action: Action, act: Act, worker_id: str, *, reason: str | None = None
    ) -> ActResult:
        """Take a place of the worker's capacity and move to `assigned`, or change nothing."""
        projection = draft.projection
        projection.worker_id, projection.assigned_at = worker_id, workflow.now()
        projection.offered_worker_id, projection.needs_admin = None, False
        projection.needs_admin_reason = None
        draft.candidates = []
        draft.apply(action, act.actor, at=workflow.now(), act=act, reason=reason)
        draft.notify("job.assigned", draft.input.client_id)
        draft.notify("job.assigned", worker_id)
        accepted = action is Action.ACCEPT_OFFER and draft.offer is not None
        taken = await workflow.execute_activity_method(
            JobActivities.assign_worker,
            AssignWorker(
                worker_id=worker_id,
                offer_number=draft.offer.number if accepted and draft.offer else None,
                change=draft.take_change(act.correlation_id),
            ),
            **job_options.DECIDED,
            summary="Take a place of the worker's capacity",
        )
        if not taken.assigned:
            await self._refuse(
                act,
                JobErrorCode.WORKER_AT_CAPACITY,
                f"All {taken.capacity} places of the worker are taken; finish or hand over a job first.",
            )
        self._state = draft
        self._publish()
        return self._state.answer(act)

    def _price(self) -> int:
        pricing = self._state.projection.pricing
        return pricing.credits if pricing else 0


def _reading(parsed: ParsedBrief) -> dict[str, object]:
    """What the timeline keeps of a reading: who read it, and the result."""
    return parsed.model_dump(mode="json", exclude_none=True, exclude={"summary"})
