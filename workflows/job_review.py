"""The client's look at the work: approved, sent back, or approved by silence after two reminders."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.jobs.change import PriceProposal
    from app.jobs.policy import BASIS
    from app.lifecycle import Action, Actor
    from workflows import job_acts, job_money
    from workflows.contracts import Act, ActResult, AgreePrice, QuoteRevision, RequestRevision
    from workflows.job_state import Money

from workflows.job_repricing import JobRepricing


class JobReview(JobRepricing):
    """Approval, revisions within the limit, and further ones at a price that the client agrees to."""

    # --- steps

    async def _await_approval(self) -> None:
        projection = self._state.projection
        reminder = projection.reminders[0] if projection.reminders else None
        summary = "Remind the client" if reminder else "Approve for a silent client"
        if await self._wait_for_act(reminder or projection.deadline, summary):
            return
        async with self._lock:
            if self._overdue(Action.AUTO_APPROVE):
                await self._complete(Action.AUTO_APPROVE, Actor.SYSTEM, None)
            else:
                await self._remind_client()

    async def _remind_client(self) -> None:
        state, now = self._state, workflow.now()
        due = [moment for moment in state.projection.reminders if moment <= now]
        if not due or state.deadline_action is not Action.AUTO_APPROVE:
            return
        left = [moment for moment in state.projection.reminders if moment > now]
        state.apply(Action.REMIND_CLIENT, Actor.SYSTEM, at=now, reminders=left)
        state.notify("job.review_reminder", state.input.client_id, deadline=state.projection.deadline)
        await self._record()

    async def _await_revision_consent(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "The answer to the revision's price"):
            return
        async with self._lock:
            if self._overdue(Action.EXPIRE_REVISION_QUOTE):
                self._back_to_review(Action.EXPIRE_REVISION_QUOTE, Actor.SYSTEM, None)
                await self._record()

    def _back_to_review(self, action: Action, actor: Actor, act: Act | None) -> None:
        """No further revision: the client looks at what was delivered, with the time for it anew."""
        state, now = self._state, workflow.now()
        policy = state.input.policy
        state.projection.proposal = None
        state.apply(
            action,
            actor,
            at=now,
            act=act,
            deadline=now + timedelta(seconds=policy.auto_approve_seconds),
            deadline_action=Action.AUTO_APPROVE,
            reminders=[now + after for after in policy.review_reminders()],
        )

    async def _complete(self, action: Action, actor: Actor, act: Act | None) -> None:
        """Spend the hold, credit the worker, invite both to rate."""
        state, now = self._state, workflow.now()
        worker_id = state.projection.worker_id
        if worker_id is None:
            raise RuntimeError("a job in review has a worker")
        state.projection.completed_at, state.projection.proposal = now, None
        settlement = job_money.end_in_full(state)
        state.apply(action, actor, at=now, act=act, money=settlement.money)
        self._tell_of_completion(worker_id, settlement.money)
        await self._settle(settlement, act)

    def _tell_of_completion(self, worker_id: str, money: Money) -> None:
        state = self._state
        closes_at = workflow.now() + timedelta(seconds=state.input.policy.rating_window_seconds)
        for user_id in (state.input.client_id, worker_id):
            state.notify(
                "job.completed", user_id, spent_credits=money.credits, earned_usd_cents=money.usd_cents
            )
        for user_id in (state.input.client_id, worker_id):
            state.notify("review.invited", user_id, closes_at=closes_at)

    # --- acts

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
    async def extend_review(self, act: Act) -> ActResult:
        """The client takes more time, once for each delivery; both sides see the new moment."""
        async with self._lock:
            job_acts.check_review_extension(self._state, act)
            state = self._state
            projection, policy = state.projection, state.input.policy
            more = timedelta(seconds=policy.review_extension_seconds)
            deadline = (projection.deadline or workflow.now()) + more
            projection.review_extended = True
            state.apply(
                Action.EXTEND_REVIEW,
                Actor.CLIENT,
                at=workflow.now(),
                act=act,
                details={"to": deadline.isoformat()},
                deadline=deadline,
                reminders=_before(deadline, workflow.now(), [*projection.reminders, deadline - more / 3]),
            )
            state.notify("job.deadline_moved", projection.worker_id, deadline=deadline)
            await self._record(act, rivals=True)
            return state.answer(act)

    @extend_review.validator
    def _validate_extend_review(self, act: Act) -> None:
        job_acts.check_review_extension(self._state, act)

    @workflow.update
    async def request_revision(self, act: RequestRevision) -> ActResult:
        """The client sends the work back; beyond the limit it is quoted first, and the client asked for consent."""
        async with self._lock:
            state = self._state
            if job_acts.revisions_left(state):
                job_acts.check(state, Action.REQUEST_REVISION, act)
                self._send_back(Action.REQUEST_REVISION, act, act.reason)
            else:
                job_acts.check(state, Action.REQUEST_EXTRA_REVISION, act)
                self._quote_extra(act)
            await self._record(act, rivals=True)
            return state.answer(act)

    @request_revision.validator
    def _validate_request_revision(self, act: RequestRevision) -> None:
        left = job_acts.revisions_left(self._state)
        job_acts.check(self._state, Action.REQUEST_REVISION if left else Action.REQUEST_EXTRA_REVISION, act)

    def _send_back(self, action: Action, act: Act, reason: str) -> None:
        state, now = self._state, workflow.now()
        state.projection.revision_count += 1
        state.apply(action, Actor.CLIENT, at=now, act=act, reason=reason)
        state.set_due(now, state.input.policy.due_time(state.input.urgency, revision=True))
        state.notify("job.revision_requested", state.projection.worker_id, reason=reason)

    def _quote_extra(self, act: RequestRevision) -> None:
        """The policy's price of a further revision; the worker may name another while the client thinks."""
        state, now = self._state, workflow.now()
        policy, price = state.input.policy, job_money.price_of(state).credits or 0
        more = max(1, price * policy.extra_revision_basis_points // BASIS)
        pay = job_money.pay_for(state, more)
        state.projection.proposal = PriceProposal(
            extra_credits=more, extra_pay_usd_cents=pay, by=Actor.SYSTEM, reason=act.reason
        )
        deadline = now + timedelta(seconds=policy.revision_quote_seconds)
        state.apply(
            Action.REQUEST_EXTRA_REVISION,
            Actor.CLIENT,
            at=now,
            act=act,
            reason=act.reason,
            money=Money(credits=more, usd_cents=pay),
            deadline=deadline,
            deadline_action=Action.EXPIRE_REVISION_QUOTE,
        )
        state.notify("job.revision_quoted", state.input.client_id, extra_credits=more, expires_at=deadline)
        state.notify("job.revision_quoted", state.projection.worker_id, pay_usd_cents=pay)

    @workflow.update
    async def quote_revision(self, act: QuoteRevision) -> ActResult:
        """The worker says what the further revision costs; the client is told."""
        async with self._lock:
            job_acts.check(self._state, Action.QUOTE_REVISION, act)
            state = self._state
            pay = job_money.pay_for(state, act.credits)
            asked = state.projection.proposal
            state.projection.proposal = PriceProposal(
                extra_credits=act.credits,
                extra_pay_usd_cents=pay,
                by=Actor.WORKER,
                reason=asked.reason if asked else act.reason,
            )
            state.apply(
                Action.QUOTE_REVISION,
                Actor.WORKER,
                at=workflow.now(),
                act=act,
                reason=act.reason,
                money=Money(credits=act.credits, usd_cents=pay),
            )
            state.notify(
                "job.revision_quoted",
                state.input.client_id,
                extra_credits=act.credits,
                expires_at=state.projection.deadline,
                reason=act.reason,
            )
            await self._record(act, rivals=True)
            return state.answer(act)

    @quote_revision.validator
    def _validate_quote_revision(self, act: QuoteRevision) -> None:
        job_acts.check(self._state, Action.QUOTE_REVISION, act)

    @workflow.update
    async def approve_revision_quote(self, act: AgreePrice) -> ActResult:
        """The client agrees to the revision's price; it is held, and the work goes back."""
        async with self._lock:
            state = self._state
            proposal = job_acts.check_consent(state, Action.APPROVE_REVISION_QUOTE, act)
            await self._hold_more(
                Action.APPROVE_REVISION_QUOTE, act, proposal.extra_credits, proposal.extra_pay_usd_cents
            )
            state.projection.revision_count += 1
            state.set_due(workflow.now(), state.input.policy.due_time(state.input.urgency, revision=True))
            state.notify("job.revision_requested", state.projection.worker_id, reason=proposal.reason)
            await self._record(act)
            return state.answer(act)

    @approve_revision_quote.validator
    def _validate_approve_revision_quote(self, act: AgreePrice) -> None:
        job_acts.check_consent(self._state, Action.APPROVE_REVISION_QUOTE, act)
        job_acts.check_patience(self._state, act, workflow.now())

    @workflow.update
    async def decline_revision_quote(self, act: Act) -> ActResult:
        """The client does not want the revision at that price, and looks at what was delivered."""
        async with self._lock:
            job_acts.check(self._state, Action.DECLINE_REVISION_QUOTE, act)
            self._back_to_review(Action.DECLINE_REVISION_QUOTE, Actor.CLIENT, act)
            await self._record(act, rivals=True)
            return self._state.answer(act)

    @decline_revision_quote.validator
    def _validate_decline_revision_quote(self, act: Act) -> None:
        job_acts.check(self._state, Action.DECLINE_REVISION_QUOTE, act)


def _before(deadline: datetime, now: datetime, moments: list[datetime]) -> list[datetime]:
    return sorted({moment for moment in moments if now < moment < deadline})
