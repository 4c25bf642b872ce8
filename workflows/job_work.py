"""The work itself: begun, delivered, and due by a time that is watched."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.jobs.change import OfferStatus
    from app.lifecycle import WORK_IS_DUE, Action, Actor
    from workflows import job_acts
    from workflows.contracts import Act, ActResult, ChangePolicy, ExtendDeadline, Submit

from workflows.job_base import JobBase

_DOUBLINGS = 5  # of the distance between two alerts


class JobWork(JobBase):
    """The worker's acts, and the clock of the due time."""

    async def _watch_due_time(self) -> None:
        """Remind the worker before the work is due, and tell the admins when it is late; for the job's whole life.

        One timer runs through all phases of the work and is started anew only for an earlier moment: when it ends
        too early, because the time was moved, it is simply set again.
        """
        while True:
            await workflow.wait_condition(lambda: self._state.next_alarm() is not None)
            alarm = self._state.next_alarm()
            if alarm is None:
                continue
            left = alarm - workflow.now()
            if left > timedelta(0):
                with contextlib.suppress(TimeoutError):
                    await workflow.wait_condition(
                        partial(self._alarm_is_before, alarm),
                        timeout=left,
                        timeout_summary="The work's due time",
                    )
            async with self._lock:
                await self._sound_alarm()

    def _alarm_is_before(self, moment: datetime) -> bool:
        alarm = self._state.next_alarm()
        return alarm is not None and alarm < moment

    async def _sound_alarm(self) -> None:
        """One reminder or alert; alerts come at growing distances, so that a forgotten job's history stays short."""
        state, now = self._state, workflow.now()
        alarm, projection = state.next_alarm(), state.projection
        if alarm is None or now < alarm:
            return
        if state.due_reminders:
            state.due_reminders = [moment for moment in state.due_reminders if moment > now]
            state.apply(Action.REMIND_WORKER, Actor.SYSTEM, at=now)
            state.notify("job.due_reminder", projection.worker_id, due_at=projection.due_at)
        else:
            distance = state.input.policy.overdue_alert_seconds * 2 ** min(state.overdue_alerts, _DOUBLINGS)
            state.overdue_alert_at = now + timedelta(seconds=distance)
            state.overdue_alerts += 1
            projection.overdue_count += 1
            projection.needs_admin, projection.needs_admin_reason = True, "the work is overdue"
            state.apply(
                Action.MARK_OVERDUE, Actor.SYSTEM, at=now, details={"times": projection.overdue_count}
            )
            state.notify("job.overdue", None, due_at=projection.due_at)
            if state.overdue_alerts == 1:
                state.notify("job.overdue", projection.worker_id, due_at=projection.due_at)
                state.notify("job.overdue", state.input.client_id, due_at=projection.due_at)
        await self._record()

    # --- acts

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
            policy = state.input.policy
            delivery = state.add_delivery(act.file_ids, act.note, at=now)
            deadline = now + timedelta(seconds=policy.auto_approve_seconds)
            state.projection.needs_admin, state.projection.needs_admin_reason = False, None
            state.apply(
                Action.SUBMIT,
                Actor.WORKER,
                at=now,
                act=act,
                details={"delivery": delivery.number, "files": len(act.file_ids)},
                deadline=deadline,
                deadline_action=Action.AUTO_APPROVE,
                reminders=[now + after for after in policy.review_reminders()],
            )
            state.clear_due()
            state.projection.review_extended = False
            state.notify("job.submitted", state.input.client_id, deadline=deadline)
            await self._record(act)
            return state.answer(act)

    @submit.validator
    def _validate_submit(self, act: Submit) -> None:
        job_acts.check(self._state, Action.SUBMIT, act)

    @workflow.update
    async def extend_deadline(self, act: ExtendDeadline) -> ActResult:
        """An admin moves what the job waits for: the due time while work is due, else the state's deadline."""
        async with self._lock:
            job_acts.check_extension(self._state, act, workflow.now())
            state, now = self._state, workflow.now()
            projection, work_is_due = state.projection, state.state in WORK_IS_DUE
            if work_is_due:
                state.set_due(now, act.to - now)
                projection.needs_admin, projection.needs_admin_reason = False, None
            if projection.dispute and state.deadline_action is Action.CLOSE_EVIDENCE:
                projection.dispute.evidence_until = act.to
            if state.offer and state.offer.status is OfferStatus.OPEN:
                state.offer.expires_at = act.to
                state.changed_offers.append(state.offer.number)
            state.apply(
                Action.EXTEND_DEADLINE,
                Actor.ADMIN,
                at=now,
                act=act,
                reason=act.reason,
                details={"to": act.to.isoformat()},
                deadline=None if work_is_due else act.to,
            )
            waiting = projection.worker_id or projection.offered_worker_id
            state.notify("job.deadline_moved", state.input.client_id, deadline=act.to)
            if waiting:
                state.notify("job.deadline_moved", waiting, deadline=act.to)
            await self._record(act, rivals=True)
            return state.answer(act)

    @extend_deadline.validator
    def _validate_extend_deadline(self, act: ExtendDeadline) -> None:
        job_acts.check_extension(self._state, act, workflow.now())

    @workflow.update
    async def change_policy(self, act: ChangePolicy) -> ActResult:
        """An admin moves the job to another policy: for what is decided from now on, not for clocks that run."""
        async with self._lock:
            job_acts.check(self._state, Action.CHANGE_POLICY, act)
            state = self._state
            before = state.input.policy.version
            if before == act.policy.version:
                return state.answer(act)
            state.input = state.input.model_copy(update={"policy": act.policy})
            state.projection.policy = act.policy
            state.apply(
                Action.CHANGE_POLICY,
                Actor.ADMIN,
                at=workflow.now(),
                act=act,
                reason=act.reason,
                details={"from": before, "to": act.policy.version},
            )
            await self._record(act, rivals=True)
            return state.answer(act)

    @change_policy.validator
    def _validate_change_policy(self, act: ChangePolicy) -> None:
        job_acts.check(self._state, Action.CHANGE_POLICY, act)
