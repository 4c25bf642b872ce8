"""The sweep: once a minute, start the orphans; a few times an hour, remove what has expired.

One missed or failed sweep costs nothing: the next finds the same work.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.sweep import SweepActivities
    from workflows.contracts import SWEEP_WORKFLOW
    from workflows.followers import SweepInput, SweepResult

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=20))
_TIMEOUT = timedelta(minutes=2)


@workflow.defn(name=SWEEP_WORKFLOW)
class SweepWorkflow:
    """One sweep. Its schedule (`workflows.schedules`) never runs two at once, and ends one that hangs."""

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
        workflow.set_current_details(
            f"### Sweep\n\n- Orphans started: {orphans.started}\n- Waiting for a worker: {orphans.running}"
            f"\n- Unreadable: {orphans.failed}"
        )
        return result
