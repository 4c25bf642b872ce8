"""Schedules, as a worker that starts makes them or brings them up to date."""

from __future__ import annotations

from temporalio.client import (
    Client,
    Schedule,
    ScheduleAlreadyRunningError,
    ScheduleUpdate,
    ScheduleUpdateInput,
)


async def ensure(client: Client, schedule_id: str, wanted: Schedule) -> None:
    """Make the schedule, or bring it up to date; one that an operator has paused stays paused. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal does not answer.
    """
    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:

        def bring_up_to_date(found: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = found.description.schedule.state
            return ScheduleUpdate(schedule=wanted)

        await client.get_schedule_handle(schedule_id).update(bring_up_to_date)
