"""What every part of a job's process stands on: the state, its one lock, waiting, writing down, settling."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.jobs import JobActivities
    from app.jobs.errors import JobErrorCode
    from app.lifecycle import Action
    from app.money.text import credits_text
    from workflows import job_details, job_options
    from workflows.contracts import (
        PAYOUT_WORKFLOW,
        Act,
        ActResult,
        JobInput,
        PayoutInput,
        TaskQueue,
        payout_workflow_id,
        sibling_task_queue,
    )
    from workflows.job_acts import refusal
    from workflows.job_money import Settlement
    from workflows.job_state import JobState
    from workflows.messages import HoldCredits, HoldCreditsResult, SettleJob, TrackedTime

_ANSWERS = 20  # kept for repeats in the next run


class JobBase:
    """The state, and the ways to move, store and settle it. All acts and steps take the one lock first."""

    def __init__(self, job: JobInput) -> None:
        """Make the state before any update can arrive, or take it over from the run before."""
        if job.carried is None:
            self._state = JobState(input=job)
        else:
            self._state = JobState.model_validate({**job.carried, "input": job})
            self._state.input = job.model_copy(update={"carried": None})
        self._lock = asyncio.Lock()
        self._visibility = job_details.Visibility(self._state if job.carried else None)
        workflow.set_current_details(job_details.render(self._state))

    # --- repeated acts

    def remember(self, update_id: str, answer: ActResult) -> None:
        """Keep an answer for a repeat in the next run; the last ones, since a repeat comes soon or never."""
        answers = self._state.answers
        answers[update_id] = answer
        while len(answers) > _ANSWERS:
            del answers[next(iter(answers))]

    def first_answer(self, update_id: str) -> ActResult | None:
        """What an update was answered before, in this run or an earlier one."""
        return self._state.answers.get(update_id)

    # --- waiting

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

    # --- writing

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

    # --- money

    async def _hold_credits(self, credits_: int, *, rivals: bool = False) -> HoldCreditsResult:
        """Hold credits on the client's book. With `rivals`, such as an expiry, only once the act is in the history."""
        state, summary = self._state, f"Hold {credits_text(credits_)}"
        hold = HoldCredits(
            job_id=state.input.job_id,
            client_id=state.input.client_id,
            credits=credits_,
            number=state.holds_made + 1,
        )
        if rivals:
            return await workflow.execute_activity_method(
                JobActivities.hold_credits, hold, **job_options.DECIDED, summary=summary
            )
        return await workflow.execute_local_activity_method(
            JobActivities.hold_credits, hold, **job_options.STORE, summary=summary
        )

    async def _settle(self, settlement: Settlement, act: Act | None) -> None:
        """Move the ledger and store the change that moved the state; then pay who has earned and left."""
        self._publish()
        await workflow.execute_activity_method(
            JobActivities.settle_job,
            SettleJob(
                worker_id=settlement.worker_id,
                resolutions=settlement.resolutions,
                accrual=settlement.accrual,
                completed=settlement.completed,
                change=self._state.take_change(act.correlation_id if act else None),
            ),
            **job_options.DECIDED,
            summary=f"Settle {credits_text(settlement.money.credits or 0)}",
        )

    async def _tracked_seconds(self) -> int:
        """The time that the present worker has tracked up to now."""
        worker_id = self._state.projection.worker_id
        if worker_id is None:
            return 0
        return await workflow.execute_local_activity_method(
            JobActivities.tracked_time,
            TrackedTime(job_id=self._state.input.job_id, worker_id=worker_id, at=workflow.now()),
            **job_options.STORE,
            summary="Read the tracked time",
        )

    # --- what outlives this process

    async def _start_payout(self, number: int) -> None:
        """Leave a payout to a workflow of its own; its id keeps it single."""
        job, accrual = self._state.input, self._state.projection.accruals[number - 1]
        payout = PayoutInput(
            job_id=job.job_id,
            worker_id=accrual.worker_id,
            client_id=job.client_id,
            amount_usd_cents=accrual.usd_cents,
            number=number,
            correlation_id=job.correlation_id,
        )
        billing = sibling_task_queue(workflow.info().task_queue, TaskQueue.BILLING)
        await self._follow(PAYOUT_WORKFLOW, payout, payout_workflow_id(job.job_id, number), billing)

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
