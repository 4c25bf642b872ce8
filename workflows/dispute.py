"""A dispute over a completed job: evidence, reminders, and a ruling that moves money which was settled already.

The job's own process has ended, so this one writes to the job by notes. It is started by the first act of a dispute,
lives as long as one is open and its money is under way, and is started again by the next one.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.disputes import DisputeActivities
    from activities.payouts import PayoutActivities
    from app.disputes.rulings import RulingPlan
    from app.jobs.change import Dispute, DisputeStatus
    from app.jobs.closing import Note
    from app.jobs.errors import JobErrorCode
    from app.lifecycle import (
        Action,
        Actor,
    )
    from app.money.text import credits_text, dollars_text
    from app.notifications.notices import Notice
    from workflows import job_options
    from workflows.contracts import (
        CLIENT_ID,
        DISPUTE_WORKFLOW,
        NEEDS_ADMIN,
        STATE_QUERY,
        WORKER_ID,
        Act,
        ActResult,
        DisputeInput,
        ExtendDeadline,
        Reasoned,
        Rule,
        TaskQueue,
        Update,
        payout_workflow_id,
        sibling_task_queue,
    )
    from workflows.followers import (
        DISPUTE_CLOSED_SIGNAL,
        CompletedDisputeView,
        DisputeClosed,
        NoteDispute,
        OpenCompletedDispute,
        PlanRuling,
        SettleRuling,
        TakeBack,
    )
    from workflows.job_acts import refusal
    from workflows.runs import is_long

from workflows.dispute_base import DisputeBase

_TAKE_BACK_TIME = timedelta(seconds=90)  # a few requests to Stripe
_CONTINUES = "dispute-continues"  # before it, a dispute was one run however long
_CLOSE_REMINDERS = 24  # at the policy's distance; then one for as many as these


@workflow.defn(name=DISPUTE_WORKFLOW)
class DisputeWorkflow(DisputeBase):
    """One dispute at a time; it ends when none is open and every payout has heard of the last one's end."""

    @workflow.init
    def __init__(self, dispute: DisputeInput) -> None:
        """Make the state before the first update, which arrives with the start."""
        super().__init__(dispute)

    @workflow.run
    async def run(self, dispute: DisputeInput) -> CompletedDisputeView:
        """Wait for rulings, remind, and hand rulings on to the payouts."""
        workflow.upsert_search_attributes(
            [
                CLIENT_ID.value_set(dispute.client_id),
                WORKER_ID.value_set(dispute.worker_id),
                NEEDS_ADMIN.value_set(value=True),
            ]
        )
        while True:
            await self._continue_if_long()
            await workflow.wait_condition(lambda: self._is_open() or bool(self._closings) or self._is_over())
            if self._closings:
                await self._hand_on(*self._closings[0])
                self._closings.pop(0)
            elif self._is_open():
                await self._await_ruling()
            else:
                break
        workflow.upsert_search_attributes([NEEDS_ADMIN.value_set(value=False)])
        return self.view()

    @workflow.query(name=STATE_QUERY)
    def state(self) -> CompletedDisputeView:
        """The dispute, and what happens next if nobody acts."""
        return self.view()

    # --- steps

    async def _continue_if_long(self) -> None:
        """Begin a new run with the same state where the history would grow past its limit."""
        if not is_long(self._input.history_limit) or not workflow.patched(_CONTINUES):
            return
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() and not self._lock.locked())
        if self._is_open() or self._closings:
            workflow.continue_as_new(self.carried())

    async def _await_ruling(self) -> None:
        """Wait for an act; at the deadline close the evidence, or remind the admins, at growing distances."""
        moves, deadline = self._moves, self._deadline or workflow.now()
        left = deadline - workflow.now()
        if left > timedelta(0):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._moves != moves,
                    timeout=left,
                    timeout_summary="Evidence ends, or the admins wait",
                )
        async with self._lock:
            now = workflow.now()
            dispute, action = self._dispute, self._deadline_action
            if self._moves != moves or not self._is_open() or dispute is None or action is None:
                return
            if action is Action.CLOSE_EVIDENCE:
                self._reminders, self._deadline_action = 0, Action.REMIND_ADMINS
            else:
                self._reminders += 1
            distance = self._input.reminder_seconds * (
                1 if self._reminders < _CLOSE_REMINDERS else _CLOSE_REMINDERS
            )
            self._deadline = now + timedelta(seconds=distance)
            self._move()
            await workflow.execute_local_activity_method(
                DisputeActivities.note_dispute,
                NoteDispute(
                    job_id=self._input.job_id,
                    act=f"{dispute.number}:{self._moves}:{action}",
                    note=Note(at=now, actor=Actor.SYSTEM, action=action),
                    dispute=dispute,
                    deadline=self._deadline,
                    admin_reason="a dispute to rule on",
                    notices=[Notice(type="job.dispute_reminder", job_id=self._input.job_id)],
                ),
                **job_options.STORE,
                summary=f"Note {action.replace('_', ' ')}",
            )

    async def _hand_on(self, number: int, take_back: TakeBack | None) -> None:
        """Tell a payout that it may go on; when it has ended, take its part of a ruling here.

        Whoever sends the money takes it back, so that a transfer on its way is never overlooked: a signal that the
        payout was given is carried out by it, even one that reaches it as it ends.
        """
        payout = workflow.get_external_workflow_handle(payout_workflow_id(self._input.job_id, number))
        try:
            await payout.signal(DISPUTE_CLOSED_SIGNAL, DisputeClosed(take_back=take_back))
        except FailureError:
            if take_back is None:
                return
            await workflow.execute_activity_method(
                PayoutActivities.take_back,
                take_back,
                task_queue=sibling_task_queue(workflow.info().task_queue, TaskQueue.BILLING),
                start_to_close_timeout=_TAKE_BACK_TIME,
                heartbeat_timeout=job_options.HEARTBEAT,
                retry_policy=job_options.STORE["retry_policy"],
                summary=f"Take back {dollars_text(take_back.amount_usd_cents)}",
            )

    # --- acts

    @workflow.update(name=Update.OPEN_DISPUTE)
    async def open_dispute(self, act: Reasoned) -> ActResult:
        """Either side asks for a ruling, within the window; pay that is not sent stands still."""
        try:
            async with self._lock:
                self._check_opening(act)
                now = _stored(workflow.now())
                until = now + timedelta(seconds=self._input.evidence_seconds)
                opened = await _refusing(
                    workflow.execute_activity_method(
                        DisputeActivities.open_dispute,
                        OpenCompletedDispute(
                            job_id=self._input.job_id,
                            opened_by=act.actor,
                            opened_by_id=act.actor_id,
                            reason=act.reason,
                            at=now,
                            evidence_until=until,
                            correlation_id=act.correlation_id or self._input.correlation_id,
                        ),
                        **job_options.DECIDED,
                        summary="Open the dispute",
                    )
                )
                self._dispute = opened.dispute
                self._deadline, self._deadline_action = until, Action.CLOSE_EVIDENCE
                self._move()
                return self._answer(act, opened.seq)
        finally:
            self._asked = True

    @workflow.update(name=Update.WITHDRAW_DISPUTE)
    async def withdraw_dispute(self, act: Act) -> ActResult:
        """The one who opened the dispute takes it back; all stays as it was settled."""
        async with self._lock:
            dispute = self._check_opener(act)
            return await self._close(Action.WITHDRAW_DISPUTE, act, dispute, DisputeStatus.WITHDRAWN)

    @withdraw_dispute.validator
    def _validate_withdraw_dispute(self, act: Act) -> None:
        self._check_opener(act)

    @workflow.update(name=Update.DISMISS_DISPUTE)
    async def dismiss_dispute(self, act: Reasoned) -> ActResult:
        """An admin finds nothing to rule on; all stays as it was settled."""
        async with self._lock:
            dispute = self._check(Action.DISMISS_DISPUTE, act)
            return await self._close(
                Action.DISMISS_DISPUTE, act, dispute, DisputeStatus.DISMISSED, reason=act.reason
            )

    @dismiss_dispute.validator
    def _validate_dismiss_dispute(self, act: Reasoned) -> None:
        self._check(Action.DISMISS_DISPUTE, act)

    @workflow.update(name=Update.RULE)
    async def rule(self, act: Rule) -> ActResult:
        """An admin divides what was spent and earned; credits return at once, and pay follows."""
        async with self._lock:
            dispute = self._check(Action.RULE, act)
            plan = await workflow.execute_activity_method(
                DisputeActivities.plan_ruling,
                PlanRuling(job_id=self._input.job_id, share_basis_points=act.worker_share_basis_points),
                **job_options.DECIDED,
                summary="Work out what goes back",
            )
            return await self._close(
                Action.RULE,
                act,
                dispute,
                DisputeStatus.RULED,
                reason=act.reason,
                plan=plan,
                share=act.worker_share_basis_points,
            )

    @rule.validator
    def _validate_rule(self, act: Rule) -> None:
        self._check(Action.RULE, act)

    @workflow.update(name=Update.EXTEND_DEADLINE)
    async def extend_deadline(self, act: ExtendDeadline) -> ActResult:
        """An admin gives both sides more time for evidence, or puts the next reminder off."""
        async with self._lock:
            dispute = self._check_extension(act)
            now = _stored(workflow.now())
            if self._deadline_action is Action.CLOSE_EVIDENCE:
                self._dispute = dispute = dispute.model_copy(update={"evidence_until": act.to})
            self._deadline = act.to
            self._move()
            noted = self._note_of(Action.EXTEND_DEADLINE, act, act.reason, at=now)
            noted.note.details = {"to": act.to.isoformat()}
            noted.act, noted.dispute, noted.deadline = (
                f"{dispute.number}:{self._moves}:extend",
                dispute,
                act.to,
            )
            if self._deadline_action is Action.REMIND_ADMINS:
                noted.admin_reason = "a dispute to rule on"
            noted.notices = self._to_both("job.deadline_moved", deadline=act.to)
            seq = await _refusing(
                workflow.execute_activity_method(
                    DisputeActivities.note_dispute,
                    noted,
                    **job_options.DECIDED,
                    summary="Move the dispute's deadline",
                )
            )
            return self._answer(act, seq)

    @extend_deadline.validator
    def _validate_extend_deadline(self, act: ExtendDeadline) -> None:
        self._check_extension(act)

    async def _close(
        self,
        action: Action,
        act: Act,
        dispute: Dispute,
        status: DisputeStatus,
        *,
        reason: str | None = None,
        plan: RulingPlan | None = None,
        share: int | None = None,
    ) -> ActResult:
        """End the dispute on record; then every payout of the worker hears of it."""
        now = _stored(workflow.now())
        closed = dispute.model_copy(
            update={
                "status": status,
                "closed_at": now,
                "ruling_reason": reason,
                "worker_share_basis_points": share,
            }
        )
        noted = self._note_of(action, act, reason, at=now)
        noted.act, noted.dispute = f"{dispute.number}:{action}", closed
        noted.notices = self._to_both("job.dispute_closed", outcome=status.value, reason=reason)
        if plan is None:
            writing = workflow.execute_activity_method(
                DisputeActivities.note_dispute, noted, **job_options.DECIDED, summary=f"Note {status}"
            )
        else:
            noted.note.details = {
                "worker_share_basis_points": share,
                "refunded_credits": plan.credits_back,
                "taken_back_usd_cents": plan.pay_lost,
            }
            writing = workflow.execute_activity_method(
                DisputeActivities.settle_ruling,
                SettleRuling(plan=plan, ruling=noted),
                **job_options.DECIDED,
                summary=f"Give back {credits_text(plan.credits_back)}",
            )
        seq = await _refusing(writing)
        self._dispute, self._deadline, self._deadline_action = closed, None, None
        self._closings += self._closings_of(plan, closed)
        self._move()
        return self._answer(act, seq)


async def _refusing(writing: Any) -> Any:
    """What the activity answers; what the job's record does not allow is the caller's refusal."""
    try:
        return await writing
    except ActivityError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == JobErrorCode.WRONG_STATE:
            details = cause.details[0] if cause.details else {}
            raise refusal(JobErrorCode.WRONG_STATE, f"{cause.message}.", **details) from None
        raise


def _stored(moment: datetime) -> datetime:
    """To the millisecond, as MongoDB keeps it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
