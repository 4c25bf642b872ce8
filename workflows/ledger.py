"""The ledger's night: once a day, book what has lapsed, audit every book and keep its head elsewhere, and compare all
of it with Stripe and the jobs.

A night that is missed or fails costs a day's certainty and nothing else: the next does the work of both.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.reconciliation import ReconciliationActivities
    from workflows import schedules
    from workflows.contracts import TaskQueue, task_queue
    from workflows.followers import LEDGER_NIGHT_SCHEDULE_ID, LEDGER_NIGHT_WORKFLOW, LedgerNight, Reconcile

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=5))
_TIMEOUT = timedelta(hours=1)
_HEARTBEAT = timedelta(minutes=1)
_EXECUTION_TIMEOUT = timedelta(hours=6)
_AT = ScheduleCalendarSpec(hour=[ScheduleRange(3)], minute=[ScheduleRange(30)], comment="03:30 UTC")


@workflow.defn(name=LEDGER_NIGHT_WORKFLOW)
class LedgerNightWorkflow:
    """One night. Its schedule never runs two at once, and ends one that hangs."""

    @workflow.run
    async def run(self) -> LedgerNight:
        """Expiry first, so that the heads that are kept have it."""
        expired = await workflow.execute_activity_method(
            LedgerActivities.expire_credits,
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_RETRY,
            summary="Book credits that have lapsed",
        )
        audited = await workflow.execute_activity_method(
            LedgerActivities.audit_ledger,
            workflow.now(),
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_RETRY,
            summary="Audit every book and keep its head",
        )
        # Last, so that a night that was under way when this was added goes on as it began.
        reconciled = await workflow.execute_activity_method(
            ReconciliationActivities.reconcile,
            Reconcile(
                report_id=workflow.uuid4().hex[:24],
                at=workflow.now(),
                discrepancies=audited.discrepancies,
            ),
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_RETRY,
            summary="Compare ledger, Stripe and jobs",
        )
        workflow.set_current_details(
            f"### Ledger\n\n- Lots lapsed: {expired.lots}, clients to try again: {expired.failed}"
            f"\n- Transactions audited: {audited.transactions} in {audited.books} books"
            f"\n- Discrepancies: {audited.discrepancies}\n- Heads: `{audited.heads_key}`"
            f"\n- Differences: {reconciled.differences}, report `{reconciled.report_id}`"
        )
        return LedgerNight(expired=expired, audited=audited, reconciled=reconciled)


def ledger_night_schedule_id(prefix: str = "") -> str:
    """The schedule of a stack whose settings give it a prefix."""
    return f"{prefix}{LEDGER_NIGHT_SCHEDULE_ID}"


async def ensure_ledger_night(client: Client, prefix: str = "") -> None:
    """Make the schedule, or bring it up to date. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal does not answer.
    """
    await schedules.ensure(client, ledger_night_schedule_id(prefix), _night(prefix))


def _night(prefix: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            LEDGER_NIGHT_WORKFLOW,
            id=ledger_night_schedule_id(prefix),
            task_queue=task_queue(TaskQueue.NOTIFY, prefix),
            execution_timeout=_EXECUTION_TIMEOUT,
            static_summary="Book lapsed credits, audit the ledger, keep its heads",
        ),
        spec=ScheduleSpec(calendars=[_AT]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP,
            catchup_window=timedelta(hours=12),  # after an outage in the night, the morning does it
        ),
    )
