"""The sweep: once a minute, start the orphans and stop idle timers; a few times an hour, remove what has expired.

One missed or failed sweep costs nothing: the next finds the same work.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.sweep import SweepActivities
    from activities.timetracking import TimeTrackingActivities
    from workflows import schedules
    from workflows.contracts import SWEEP_SCHEDULE_ID, SWEEP_WORKFLOW, TaskQueue, task_queue
    from workflows.followers import SweepInput, SweepResult

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=20))
_TIMEOUT = timedelta(minutes=2)
_EVERY = timedelta(minutes=1)
# A sweep that hangs would make SKIP skip for ever.
_EXECUTION_TIMEOUT = timedelta(minutes=5)


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWorkflow:
    """One sweep. Its schedule never runs two at once, and ends one that hangs."""

    @workflow.run
    async def run(self, sweep: SweepInput) -> SweepResult:
        """Orphans first: somebody waits for them."""
        now = workflow.now()
        orphans = await workflow.execute_activity_method(
            SweepActivities.start_orphans,
            now,
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=_RETRY,
            summary="Start jobs that were posted but not started",
        )
        result = SweepResult(orphans=orphans)
        if now.minute % sweep.purge_every_minutes == 0:
            result.purged = await workflow.execute_activity_method(
                SweepActivities.purge_expired,
                now,
                start_to_close_timeout=_TIMEOUT,
                retry_policy=_RETRY,
                summary="Remove what has expired",
            )
        # Last, so that a sweep that was under way when this was added goes on as it began.
        result.timers = await workflow.execute_activity_method(
            TimeTrackingActivities.stop_idle_timers,
            now,
            start_to_close_timeout=_TIMEOUT,
            retry_policy=_RETRY,
            summary="Stop timers that nobody keeps alive",
        )
        workflow.set_current_details(
            f"### Sweep\n\n- Orphans started: {orphans.started}\n- Waiting for a worker: {orphans.running}"
            f"\n- Unreadable: {orphans.failed}"
            f"\n- Timers stopped: {result.timers.idle} idle, {result.timers.left} left behind"
        )
        return result


def sweep_schedule_id(prefix: str = "") -> str:
    """The schedule of a stack whose settings give it a prefix."""
    return f"{prefix}{SWEEP_SCHEDULE_ID}"


async def ensure_schedule(client: Client, prefix: str = "", *, every: timedelta = _EVERY) -> None:
    """Make the sweep's schedule, or bring it up to date. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal does not answer.
    """
    await schedules.ensure(client, sweep_schedule_id(prefix), _sweep(prefix, every))


def _sweep(prefix: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            SWEEP_WORKFLOW,
            SweepInput(),
            id=sweep_schedule_id(prefix),
            task_queue=task_queue(TaskQueue.NOTIFY, prefix),
            execution_timeout=_EXECUTION_TIMEOUT,
            static_summary="Start orphaned jobs, stop idle timers, remove what has expired",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP,
            catchup_window=timedelta(minutes=1),  # after an outage one sweep does the work of all
        ),
    )
