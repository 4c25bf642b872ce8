"""A dispute over open work: everything stands still while both sides give evidence and an admin rules."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.jobs.change import Dispute, DisputeStatus
    from app.jobs.terms import ruling_terms
    from app.lifecycle import CLOSED_TO_JOB_WORKFLOW, Action, Actor
    from workflows import job_acts, job_money
    from workflows.contracts import Act, ActResult, Reasoned, Rule

from workflows.job_review import JobReview


class JobDisputes(JobReview):
    """A ruling ends the job with a split; a dismissal puts it back where it was, with its deadlines moved."""

    # --- steps

    async def _await_ruling(self) -> None:
        if await self._wait_for_act(self._state.projection.deadline, "Evidence ends, or the admins wait"):
            return
        async with self._lock:
            state, now = self._state, workflow.now()
            again = now + timedelta(seconds=state.input.policy.rescue_reminder_seconds)
            if self._overdue(Action.CLOSE_EVIDENCE):
                state.reminders = 0
                state.projection.needs_admin, state.projection.needs_admin_reason = (
                    True,
                    "a dispute to rule on",
                )
                action = Action.CLOSE_EVIDENCE
            elif self._overdue(Action.REMIND_ADMINS):
                again, action = now + state.next_reminder(), Action.REMIND_ADMINS
            else:
                return
            state.apply(action, Actor.SYSTEM, at=now, deadline=again, deadline_action=Action.REMIND_ADMINS)
            state.notify("job.dispute_reminder", None)
            await self._record()

    # --- acts

    @workflow.update
    async def open_dispute(self, act: Reasoned) -> ActResult:
        """Either side asks for a ruling; all clocks of the job stop."""
        async with self._lock:
            # A job that was completed meanwhile is disputed in a process of its own; nobody would rule on it here.
            # Jobs from before this was checked have opened it all the same.
            if self._state.state in CLOSED_TO_JOB_WORKFLOW and workflow.patched(
                "no-dispute-after-completion"
            ):
                job_acts.check_process_goes_on(self._state)
            job_acts.check(self._state, Action.OPEN_DISPUTE, act)
            state, now = self._state, workflow.now()
            until = now + timedelta(seconds=state.input.policy.evidence_seconds)
            dispute = Dispute(
                number=state.disputes + 1,
                opened_by=act.actor,
                opened_by_id=act.actor_id,
                reason=act.reason,
                opened_at=now,
                evidence_until=until,
            )
            state.freeze(dispute, at=now)
            state.apply(
                Action.OPEN_DISPUTE,
                act.actor,
                at=now,
                act=act,
                reason=act.reason,
                deadline=until,
                deadline_action=Action.CLOSE_EVIDENCE,
            )
            for user_id in (state.input.client_id, state.projection.worker_id, None):
                state.notify("job.dispute_opened", user_id, evidence_until=until)
            await self._record(act, rivals=True)
            return state.answer(act)

    @open_dispute.validator
    def _validate_open_dispute(self, act: Reasoned) -> None:
        # That the process goes on is for the handler to see: by then a completion is on record, where the door looks.
        job_acts.check(self._state, Action.OPEN_DISPUTE, act)

    @workflow.update
    async def withdraw_dispute(self, act: Act) -> ActResult:
        """The one who opened the dispute takes it back; the job goes on."""
        async with self._lock:
            job_acts.check_opener(self._state, act)
            return await self._go_on(Action.WITHDRAW_DISPUTE, act, DisputeStatus.WITHDRAWN, None)

    @withdraw_dispute.validator
    def _validate_withdraw_dispute(self, act: Act) -> None:
        job_acts.check_opener(self._state, act)

    @workflow.update
    async def dismiss_dispute(self, act: Reasoned) -> ActResult:
        """An admin finds nothing to rule on; the job goes on where it was."""
        async with self._lock:
            job_acts.check(self._state, Action.DISMISS_DISPUTE, act)
            return await self._go_on(Action.DISMISS_DISPUTE, act, DisputeStatus.DISMISSED, act.reason)

    @dismiss_dispute.validator
    def _validate_dismiss_dispute(self, act: Reasoned) -> None:
        job_acts.check(self._state, Action.DISMISS_DISPUTE, act)

    async def _go_on(self, action: Action, act: Act, status: DisputeStatus, reason: str | None) -> ActResult:
        state, now = self._state, workflow.now()
        thawed = state.thaw(at=now)
        state.close_dispute(status, at=now)
        if state.projection.dispute:
            state.projection.dispute.ruling_reason = reason
        deadline_action = thawed.deadline_action if thawed else None
        if thawed and deadline_action is Action.EXPIRE_REVISION_QUOTE:
            # The question of a further revision is closed with the dispute: the client looks at the work again.
            self._back_to_review(action, act.actor, act)
        else:
            state.apply(
                action,
                act.actor,
                at=now,
                act=act,
                reason=reason,
                deadline=thawed.deadline if thawed else None,
                deadline_action=deadline_action,
                reminders=thawed.reminders if thawed else None,
            )
        if thawed:
            state.projection.due_at, state.due_reminders = thawed.due_at, thawed.due_reminders
            state.overdue_alert_at = thawed.overdue_alert_at
        self._tell_of_end()
        await self._record(act, rivals=True)
        return state.answer(act)

    @workflow.update
    async def rule(self, act: Rule) -> ActResult:
        """An admin ends the dispute, and the job with it: a share for the worker, the rest back to the client."""
        async with self._lock:
            job_acts.check_ruling(self._state, act)
            state, now = self._state, workflow.now()
            share = act.worker_share_basis_points
            action = Action.RULE if share else Action.RULE_REFUND
            worker_id = state.projection.worker_id or ""
            settlement = job_money.end_on_terms(
                state, ruling_terms(state.stake(0), share), completed=bool(share)
            )
            state.frozen = state.projection.proposal = None
            state.close_dispute(DisputeStatus.RULED, at=now)
            if state.projection.dispute:
                state.projection.dispute.worker_share_basis_points = share
                state.projection.dispute.ruling_reason = act.reason
            if share:
                state.projection.completed_at = now
            state.apply(
                action,
                Actor.ADMIN,
                at=now,
                act=act,
                reason=act.reason,
                money=settlement.money,
                details={"worker_share_basis_points": share},
            )
            self._tell_of_end()
            if share:
                self._tell_of_completion(worker_id, settlement.money)
            await self._settle(settlement, act)
            return state.answer(act)

    @rule.validator
    def _validate_rule(self, act: Rule) -> None:
        job_acts.check_ruling(self._state, act)

    def _tell_of_end(self) -> None:
        state = self._state
        dispute = state.projection.dispute
        for user_id in (state.input.client_id, state.projection.worker_id):
            state.notify(
                "job.dispute_closed",
                user_id,
                outcome=dispute.status.value if dispute else "",
                reason=dispute.ruling_reason if dispute else None,
            )
