"""The job: one durable process from post to payout.

`run` is a loop over the lifecycle's phases. People's acts arrive as updates: a validator refuses what the state
does not allow (leaving no event behind), the handler takes the job's one lock, looks again, and moves the state.
Who came first never decides; the state and the workflow's clock do. The acts and steps live in the bases, each with
its part of the job's life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from app.lifecycle import (
        AWAITING_APPROVAL,
        CLARIFYING,
        CLOSED_TO_JOB_WORKFLOW,
        DISPUTED,
        OFFERING,
        PARSING,
        POSTED,
        QUOTING,
        QUOTING_REVISION,
        RANKING,
        RATING,
        REPRICING,
        RESCUE,
        State,
    )
    from workflows.contracts import (
        ARCHIVE_WORKFLOW,
        JOB_WORKFLOW,
        RATINGS_WORKFLOW,
        ArchiveInput,
        JobInput,
        JobResult,
        JobStateView,
        RatingsInput,
        archive_workflow_id,
        ratings_workflow_id,
    )
    from workflows.job_details import search_attributes

from workflows.job_disputes import JobDisputes
from workflows.job_leaving import JobLeaving
from workflows.job_matching import JobMatching
from workflows.job_pricing import JobPricing
from workflows.job_work import JobWork


@workflow.defn(name=JOB_WORKFLOW)
class JobWorkflow(JobPricing, JobMatching, JobWork, JobLeaving, JobDisputes):
    """One job. Its state moves only along `app.lifecycle.TABLE`."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        """Make the state before any update can arrive."""
        super().__init__(job)

    @workflow.run
    async def run(self, job: JobInput) -> JobResult:  # noqa: ARG002  # read by __init__
        """Live the job's life; ends when only payout, ratings and archive are left."""
        steps = self._steps()
        due_time = asyncio.create_task(self._watch_due_time())
        while self._state.state not in CLOSED_TO_JOB_WORKFLOW:
            await self._continue_if_long()
            step = steps.get(self._state.state)
            if step:
                await step()
            else:
                await self._wait_for_act(None, "")
            if due_time.done():
                due_time.result()  # a defect of ours: fail the task, not the clock alone
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

    def _steps(self) -> dict[State, Callable[[], Awaitable[None]]]:
        """What the process does in each state that it does not simply wait in."""
        return {
            POSTED: self._begin,
            PARSING: self._read_brief,
            CLARIFYING: self._await_clarification,
            QUOTING: self._await_consent,
            RANKING: self._choose_next,
            OFFERING: self._await_answer,
            RESCUE: self._await_rescue,
            REPRICING: self._await_new_price,
            AWAITING_APPROVAL: self._await_approval,
            QUOTING_REVISION: self._await_revision_consent,
            **dict.fromkeys(DISPUTED, self._await_ruling),
        }

    async def _continue_if_long(self) -> None:
        """Begin a new run with the same state where the history would grow past its limit."""
        info, limit = workflow.info(), self._state.input.history_limit
        if info.get_current_history_length() < limit and not info.is_continue_as_new_suggested():
            return
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() and not self._lock.locked())
        if self._state.state in CLOSED_TO_JOB_WORKFLOW:
            return
        self._state.runs += 1
        carried = self._state.model_dump(mode="json", exclude={"input"})
        # All attributes anew: an unset moment that is carried over cannot be read, and the next run never begins.
        workflow.continue_as_new(
            self._state.input.model_copy(update={"carried": carried}),
            search_attributes=search_attributes(self._state),
        )

    async def _start_followers(self) -> None:
        """Leave payouts, ratings and archive to workflows that outlive this one; their ids keep them single."""
        state, job = self._state, self._state.input
        queue, worker_id = workflow.info().task_queue, state.projection.worker_id
        final = [item.number for item in state.projection.accruals if item.worker_id == worker_id]
        last = final[-1] if final else None
        if state.state != RATING or worker_id is None:
            if last is not None:
                await self._start_payout(last)
            archive = ArchiveInput(
                job_id=job.job_id, client_id=job.client_id, correlation_id=job.correlation_id
            )
            await self._follow(ARCHIVE_WORKFLOW, archive, archive_workflow_id(job.job_id), queue)
            return
        ratings = RatingsInput(
            job_id=job.job_id,
            client_id=job.client_id,
            worker_id=worker_id,
            window_seconds=job.policy.rating_window_seconds,
            dispute_window_seconds=job.policy.dispute_window_seconds,
            completed_at=state.projection.completed_at or workflow.now(),
            correlation_id=job.correlation_id,
        )
        payout = [self._start_payout(last)] if last is not None else []
        await asyncio.gather(
            *payout, self._follow(RATINGS_WORKFLOW, ratings, ratings_workflow_id(job.job_id), queue)
        )
