"""Finding the worker: rounds of ranked offers, one at a time; then the admins, the client, and patience."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs import JobActivities
    from app.jobs.change import OfferStatus
    from app.jobs.errors import JobErrorCode
    from app.jobs.policy import Urgency
    from app.lifecycle import RANKING, RESCUE, Action, Actor
    from workflows import job_acts, job_options
    from workflows.contracts import Act, ActResult, Assign, DeclineOffer
    from workflows.job_state import JobState, Money
    from workflows.messages import AssignWorker, MakeOffer, RankWorkers

from workflows.job_base import JobBase


class JobMatching(JobBase):
    """Ranks, offers, falls to the next, widens, and hands over to the admins; never silent."""

    # --- steps

    async def _choose_next(self) -> None:
        async with self._lock:
            state, policy = self._state, self._state.input.policy
            if state.state != RANKING:
                return
            while not state.candidates and state.projection.round - state.first_round < policy.rounds:
                await self._rank()
            if state.candidates:
                await self._offer()
            else:
                self._escalate(workflow.now())
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
                excluded=state.asked(),
                widened=number - state.first_round > 1,
                urgent=job.urgency is Urgency.HIGH,
                at=workflow.now(),
            ),
            **job_options.STORE,
            summary=f"Rank workers, round {number}",
        )
        state.candidates = result.candidates

    async def _offer(self) -> None:
        """Offer the job to the best who is left; the activity works out until when, by the worker's hours."""
        state, job, now = self._state, self._state.input, workflow.now()
        urgent = job.urgency is Urgency.HIGH
        window = job.policy.offer_window(job.urgency)
        offer = state.open_offer(state.candidates.pop(0), at=now, window=window)
        state.projection.needs_admin, state.projection.needs_admin_reason = False, None
        state.apply(
            Action.MAKE_OFFER,
            Actor.SYSTEM,
            at=now,
            details={"offer": offer.number, "round": offer.round, "rank": offer.rank},
            deadline=offer.expires_at,
            deadline_action=Action.EXPIRE_OFFER,
        )
        pay = state.projection.pay_usd_cents
        state.notify("job.offer", offer.worker_id, expires_at=offer.expires_at, pay_usd_cents=pay)
        made = await workflow.execute_local_activity_method(
            JobActivities.make_offer,
            MakeOffer(
                worker_id=offer.worker_id,
                window_seconds=int(window.total_seconds()),
                pause_limit_seconds=None if urgent else job.policy.offer_pause_limit_seconds,
                at=now,
                change=state.take_change(),
            ),
            **job_options.STORE,
            summary=f"Offer {offer.number}",
        )
        offer.expires_at = state.projection.deadline = made.expires_at
        self._publish()

    def _escalate(self, now: datetime) -> None:
        state, job = self._state, self._state.input
        state.reminders = 0
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
        if await self._wait_for_act(self._state.projection.deadline, "Look again, or remind the admins"):
            return
        async with self._lock:
            if not self._overdue(Action.REMIND_ADMINS):
                return
            # Jobs that were in rescue before this was built only reminded.
            if self._state.state == RESCUE and workflow.patched("rescue-ranks-again"):
                self._state.candidates = []
                await self._rank()
                if self._state.candidates:
                    self._state.first_round = self._state.projection.round - 1
                    await self._offer()
                    return
            await self._remind_admins()

    async def _remind_admins(self) -> None:
        state, now = self._state, workflow.now()
        again = now + state.next_reminder()
        state.apply(
            Action.REMIND_ADMINS,
            Actor.SYSTEM,
            at=now,
            deadline=again,
            deadline_action=Action.REMIND_ADMINS,
        )
        state.notify("job.rescue_reminder", None)
        if state.reminders == state.input.policy.rescue_escalation_reminders:
            state.projection.needs_admin_reason = "no worker accepted; escalated"
            state.notify("job.rescue_reminder", state.input.client_id)
        await self._record()

    # --- acts

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

    async def _assign(
        self, draft: JobState, action: Action, act: Act, worker_id: str, *, reason: str | None = None
    ) -> ActResult:
        """Take a place of the worker's capacity and move to `assigned`, or change nothing."""
        now = workflow.now()
        draft.projection.proposal = None
        draft.apply(
            action,
            act.actor,
            at=now,
            act=act,
            reason=reason,
            money=Money(usd_cents=draft.projection.pay_usd_cents),
        )
        draft.take_up(worker_id, at=now)
        draft.notify("job.assigned", draft.input.client_id)
        draft.notify("job.assigned", worker_id, pay_usd_cents=draft.projection.pay_usd_cents)
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
