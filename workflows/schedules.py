"""What runs by the clock. Each schedule is made or brought up to date when a worker starts."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from workflows.contracts import SWEEP_SCHEDULE_ID, SWEEP_WORKFLOW, TaskQueue, task_queue
from workflows.followers import SweepInput

_EVERY = timedelta(minutes=1)
# A sweep that hangs would make SKIP skip for ever.
_EXECUTION_TIMEOUT = timedelta(minutes=5)


def sweep_schedule_id(prefix: str = "") -> str:
    """The schedule of a stack whose settings give it a prefix."""
    return f"{prefix}{SWEEP_SCHEDULE_ID}"


async def ensure_schedule(client: Client, prefix: str = "", *, every: timedelta = _EVERY) -> None:
    """Make the sweep's schedule, or bring it up to date; one that an operator has paused stays paused. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal does not answer.
    """
    wanted = _sweep(prefix, every)
    try:
        await client.create_schedule(sweep_schedule_id(prefix), wanted)
    except ScheduleAlreadyRunningError:

        def bring_up_to_date(found: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = found.description.schedule.state
            return ScheduleUpdate(schedule=wanted)

        await client.get_schedule_handle(sweep_schedule_id(prefix)).update(bring_up_to_date)


def _sweep(prefix: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            SWEEP_WORKFLOW,
            SweepInput(),
            id=sweep_schedule_id(prefix),
            task_queue=task_queue(TaskQueue.NOTIFY, prefix),
            execution_timeout=_EXECUTION_TIMEOUT,
            static_summary="Start orphaned jobs, remove what has expired",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP,
            catchup_window=timedelta(minutes=1),  # after an outage one sweep does the work of all
        ),
    )
