"""A higher price for a job that nobody took: the client raises it, or agrees to what an admin proposes."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.jobs.change import PriceProposal
    from app.jobs.errors import JobErrorCode
    from app.lifecycle import Action, Actor
    from app.money.text import credits_text
    from workflows import job_acts, job_money
    from workflows.contracts import Act, ActResult, AgreePrice, ProposePrice, RaisePrice
    from workflows.job_state import Money

from workflows.job_base import JobBase


class JobRepricing(JobBase):
    """What the price is raised by is a further hold; the pay rises in the quote's own proportion."""

    async def _await_new_price(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "The client's answer to the new price"):
            return
        async with self._lock:
            if self._overdue(Action.EXPIRE_PRICE):
                self._back_to_rescue(Action.EXPIRE_PRICE, Actor.SYSTEM, None)
                await self._record()

    def _back_to_rescue(self, action: Action, actor: Actor, act: Act | None) -> None:
        state, now = self._state, workflow.now()
        state.projection.proposal = None
        state.projection.needs_admin, state.projection.needs_admin_reason = True, "no worker accepted"
        state.apply(
            action,
            actor,
            at=now,
            act=act,
            deadline=now + timedelta(seconds=state.input.policy.rescue_reminder_seconds),
            deadline_action=Action.REMIND_ADMINS,
        )

    async def _hold_more(self, action: Action, act: Act, credits_: int, pay_usd_cents: int) -> ActResult:
        """Hold what the price is raised by and move on; without enough credits nothing changes."""
        state = self._state
        held = await self._hold_credits(credits_, rivals=True)
        if not held.held:
            await self._refuse(
                act,
                JobErrorCode.INSUFFICIENT_CREDITS,
                f"The job needs {credits_text(credits_)} more; {credits_text(held.available)} are available.",
            )
        in_rescue = action in (Action.RAISE_PRICE, Action.APPROVE_PRICE)
        job_money.note_hold(state, credits_, state.holds_made + 1)
        money = job_money.raise_price(state, credits_, pay_usd_cents)
        state.apply(action, Actor.CLIENT, at=workflow.now(), act=act, money=money)
        if in_rescue:  # a new search, at the new price, among all but those who left
            state.first_round, state.first_offer = state.projection.round, len(state.offers)
            state.projection.needs_admin, state.projection.needs_admin_reason = False, None
        return state.answer(act)

    @workflow.update
    async def raise_price(self, act: RaisePrice) -> ActResult:
        """The client offers more for a job in rescue; everybody is asked again."""
        async with self._lock:
            job_acts.check_price(self._state, Action.RAISE_PRICE, act, act.credits)
            more = act.credits - (job_money.price_of(self._state).credits or 0)
            await self._hold_more(Action.RAISE_PRICE, act, more, job_money.pay_for(self._state, more))
            await self._record(act)
            return self._state.answer(act)

    @raise_price.validator
    def _validate_raise_price(self, act: RaisePrice) -> None:
        job_acts.check_price(self._state, Action.RAISE_PRICE, act, act.credits)
        job_acts.check_patience(self._state, act, workflow.now())

    @workflow.update
    async def propose_price(self, act: ProposePrice) -> ActResult:
        """An admin names a higher price; the client is asked."""
        async with self._lock:
            job_acts.check_price(self._state, Action.PROPOSE_PRICE, act, act.credits)
            state, now = self._state, workflow.now()
            more = act.credits - (job_money.price_of(state).credits or 0)
            pay = job_money.pay_for(state, more)
            state.projection.proposal = PriceProposal(
                extra_credits=more, extra_pay_usd_cents=pay, by=Actor.ADMIN, reason=act.reason
            )
            deadline = now + timedelta(seconds=state.input.policy.quote_consent_seconds)
            state.apply(
                Action.PROPOSE_PRICE,
                Actor.ADMIN,
                at=now,
                act=act,
                reason=act.reason,
                money=Money(credits=act.credits),
                deadline=deadline,
                deadline_action=Action.EXPIRE_PRICE,
            )
            state.projection.needs_admin, state.projection.needs_admin_reason = False, None
            state.notify(
                "job.price_proposed",
                state.input.client_id,
                price_credits=act.credits,
                expires_at=deadline,
                reason=act.reason,
            )
            await self._record(act, rivals=True)
            return state.answer(act)

    @propose_price.validator
    def _validate_propose_price(self, act: ProposePrice) -> None:
        job_acts.check_price(self._state, Action.PROPOSE_PRICE, act, act.credits)

    @workflow.update
    async def approve_price(self, act: AgreePrice) -> ActResult:
        """The client agrees to the proposed price; everybody is asked again."""
        async with self._lock:
            proposal = job_acts.check_consent(self._state, Action.APPROVE_PRICE, act)
            await self._hold_more(
                Action.APPROVE_PRICE, act, proposal.extra_credits, proposal.extra_pay_usd_cents
            )
            await self._record(act)
            return self._state.answer(act)

    @approve_price.validator
    def _validate_approve_price(self, act: AgreePrice) -> None:
        job_acts.check_consent(self._state, Action.APPROVE_PRICE, act)
        job_acts.check_patience(self._state, act, workflow.now())

    @workflow.update
    async def decline_price(self, act: Act) -> ActResult:
        """The client keeps the price; the admins go on looking."""
        async with self._lock:
            job_acts.check(self._state, Action.DECLINE_PRICE, act)
            self._back_to_rescue(Action.DECLINE_PRICE, Actor.CLIENT, act)
            await self._record(act, rivals=True)
            return self._state.answer(act)

    @decline_price.validator
    def _validate_decline_price(self, act: Act) -> None:
        job_acts.check(self._state, Action.DECLINE_PRICE, act)
