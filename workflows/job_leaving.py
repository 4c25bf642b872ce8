"""How a job loses its worker, or ends before it is done; the terms are those of `app.jobs.terms`."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.jobs.change import OfferStatus
    from app.jobs.errors import JobErrorCode
    from app.jobs.terms import Terms, cancel_terms, leave_terms
    from app.lifecycle import Action
    from workflows import job_acts, job_money
    from workflows.contracts import Act, ActResult, Cancel, Reasoned, Reassign

from workflows.job_base import JobBase


class JobLeaving(JobBase):
    """Withdrawal and reassignment are one road; so are the cancels of every stage."""

    @workflow.update
    async def withdraw(self, act: Reasoned) -> ActResult:
        """The worker gives the job up, with the pay that the terms leave; a new search begins."""
        async with self._lock:
            job_acts.check(self._state, Action.WITHDRAW, act)
            terms = leave_terms(self._state.stake(await self._tracked_seconds()), self._state.input.policy)
            return await self._leave(Action.WITHDRAW, act, act.reason, terms)

    @withdraw.validator
    def _validate_withdraw(self, act: Reasoned) -> None:
        job_acts.check(self._state, Action.WITHDRAW, act)

    @workflow.update
    async def reassign(self, act: Reassign) -> ActResult:
        """An admin takes the job from its worker; a new search begins."""
        async with self._lock:
            job_acts.check(self._state, Action.REASSIGN, act)
            terms = leave_terms(
                self._state.stake(await self._tracked_seconds()),
                self._state.input.policy,
                share_basis_points=act.share_basis_points,
            )
            return await self._leave(Action.REASSIGN, act, act.reason, terms)

    @reassign.validator
    def _validate_reassign(self, act: Reassign) -> None:
        job_acts.check(self._state, Action.REASSIGN, act)

    async def _leave(self, action: Action, act: Act, reason: str, terms: Terms) -> ActResult:
        state, now = self._state, workflow.now()
        settlement = job_money.leave_on_terms(state, terms)
        state.apply(
            action,
            act.actor,
            at=now,
            act=act,
            reason=reason,
            money=settlement.money,
            details=terms.model_dump(mode="json"),
        )
        left = state.lose_worker(terms, at=now, reason=reason)
        state.projection.needs_admin, state.projection.needs_admin_reason = False, None
        state.notify("job.worker_left", state.input.client_id)
        state.notify("job.worker_left", None)
        state.notify("job.withdrawn", left, earned_usd_cents=terms.worker_earns_usd_cents)
        await self._settle(settlement, act)
        if settlement.accrual:
            await self._start_payout(settlement.accrual.number)
        return state.answer(act)

    @workflow.update
    async def cancel(self, act: Cancel) -> ActResult:
        """The client, or an admin, ends the job on the terms that the preview showed."""
        async with self._lock:
            job_acts.check(self._state, Action.CANCEL, act)
            state = self._state
            tracked = await self._tracked_seconds()
            now = workflow.now()
            terms = cancel_terms(state.state, act.actor, state.stake(tracked), state.input.policy, now=now)
            if terms.version(state.seq) != act.preview_version:
                await self._refuse(
                    act,
                    JobErrorCode.STALE_PREVIEW,
                    "What the cancel costs has changed since you looked; look at the preview again.",
                )
            state.close_offer(OfferStatus.WITHDRAWN, at=now, reason="the job was cancelled")
            offered, worker_id = state.offer, state.projection.worker_id
            settlement = job_money.end_on_terms(state, terms)
            state.apply(
                Action.CANCEL,
                act.actor,
                at=now,
                act=act,
                reason=act.reason,
                money=settlement.money,
                details=terms.model_dump(mode="json"),
            )
            state.clear_due()
            state.projection.proposal = None
            state.projection.needs_admin, state.projection.needs_admin_reason = False, None
            state.notify("job.cancelled", state.input.client_id, released_credits=terms.client_gets_back)
            if worker_id:
                state.notify("job.cancelled", worker_id, earned_usd_cents=terms.worker_earns_usd_cents)
            elif offered and offered.status is OfferStatus.WITHDRAWN and offered.answered_at == now:
                state.notify("job.offer_withdrawn", offered.worker_id)
            await self._settle(settlement, act)
            return state.answer(act)

    @cancel.validator
    def _validate_cancel(self, act: Cancel) -> None:
        job_acts.check(self._state, Action.CANCEL, act)
        job_acts.check_patience(self._state, act, workflow.now())
