"""Payouts to banks: once a week, or on demand, each worker's balance above the country's minimum.

A worker is paid out once in a period, so a run that is repeated pays nobody twice; whom it gives up on comes again
with the next.
"""

from __future__ import annotations

import asyncio
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
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.connect import ConnectActivities
    from app.money.text import dollars_text
    from app.payouts.models import BankPayoutStatus
    from app.payouts.terms import run_offset
    from app.settings import Settings
    from workflows import job_options, schedules
    from workflows.contracts import (
        BANK_PAYOUTS_SCHEDULE_ID,
        BANK_PAYOUTS_WORKFLOW,
        BankPayoutsInput,
        BankPayoutsResult,
        TaskQueue,
        task_queue,
    )
    from workflows.followers import ListPayees, PayOut
    from workflows.runs import is_long

_PAGE = 50
_AT_ONCE = 5
_START_TO_CLOSE = timedelta(seconds=90)  # four requests to Stripe at most
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10))
_GIVE_UP = timedelta(
    hours=6
)  # an outage is sat out; one account that never answers waits for the next period
_EXECUTION_TIMEOUT = timedelta(days=3)


@workflow.defn(name=BANK_PAYOUTS_WORKFLOW)
class BankPayoutsWorkflow:
    """One run over all workers, or over those that are named."""

    @workflow.run
    async def run(self, run: BankPayoutsInput) -> BankPayoutsResult:
        """First what is still on its way from before, whose webhook may be lost; then page by page."""
        result = run.result
        period = run.period or workflow.now().date().isoformat()
        if not run.after:
            await self._follow()
        after = run.after
        while page := run.worker_ids or await self._payees(after):
            gate = asyncio.Semaphore(_AT_ONCE)
            await asyncio.gather(*(self._pay(gate, worker_id, period, result) for worker_id in page))
            workflow.set_current_details(_details(period, result))
            if run.worker_ids:
                break
            after = page[-1]
            if is_long(run.history_limit):
                workflow.continue_as_new(
                    run.model_copy(update={"period": period, "after": after, "result": result})
                )
        return result

    async def _follow(self) -> None:
        try:
            await workflow.execute_activity_method(
                ConnectActivities.follow_payouts,
                start_to_close_timeout=timedelta(minutes=10),
                heartbeat_timeout=job_options.HEARTBEAT,
                retry_policy=RetryPolicy(maximum_attempts=3),
                summary="Look again at payouts on their way",
            )
        except ActivityError:
            workflow.logger.exception("Payouts on their way were not looked at")

    async def _payees(self, after: str) -> list[str]:
        return await workflow.execute_activity_method(
            ConnectActivities.list_payees,
            ListPayees(after=after, limit=_PAGE),
            start_to_close_timeout=timedelta(seconds=30),
            retry_policy=_RETRY,
            summary="List the next workers with an account",
        )

    async def _pay(
        self, gate: asyncio.Semaphore, worker_id: str, period: str, result: BankPayoutsResult
    ) -> None:
        async with gate:
            try:
                paid = await workflow.execute_activity_method(
                    ConnectActivities.pay_out,
                    PayOut(worker_id=worker_id, period=period),
                    start_to_close_timeout=_START_TO_CLOSE,
                    heartbeat_timeout=job_options.HEARTBEAT,
                    schedule_to_close_timeout=_GIVE_UP,
                    retry_policy=_RETRY,
                    summary=f"Pay out the balance of {worker_id}",
                )
            except ActivityError:
                workflow.logger.exception("A balance was not paid out")
                result.failed += 1
                return
        if paid.status is None:
            result.below_minimum += 1
        elif paid.status == BankPayoutStatus.REFUSED:
            result.refused += 1
        else:
            result.paid += 1
            result.usd_cents += paid.amount_usd_cents


def _details(period: str, result: BankPayoutsResult) -> str:
    return (
        f"### Payouts to banks · {period}\n\n- Paid out: {result.paid}, {dollars_text(result.usd_cents)} in all"
        f"\n- Nothing, or not enough yet: {result.below_minimum}"
        f"\n- Refused: {result.refused}\n- Given up until the next period: {result.failed}"
    )


def bank_payouts_schedule_id(prefix: str = "") -> str:
    """The schedule of a stack whose settings give it a prefix."""
    return f"{prefix}{BANK_PAYOUTS_SCHEDULE_ID}"


async def ensure_bank_payouts(client: Client, settings: Settings) -> None:
    """Make the schedule, or bring it up to date. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal does not answer.
    """
    await schedules.ensure(client, bank_payouts_schedule_id(settings.task_queue_prefix), _schedule(settings))


def _schedule(settings: Settings) -> Schedule:
    prefix, days = settings.task_queue_prefix, settings.payout_every_days
    return Schedule(
        action=ScheduleActionStartWorkflow(
            BANK_PAYOUTS_WORKFLOW,
            BankPayoutsInput(),
            id=bank_payouts_schedule_id(prefix),
            task_queue=task_queue(TaskQueue.BILLING, prefix),
            execution_timeout=_EXECUTION_TIMEOUT,
            static_summary="Pay workers out to their banks",
        ),
        spec=ScheduleSpec(
            intervals=[ScheduleIntervalSpec(every=timedelta(days=days), offset=run_offset(days))]
        ),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP,
            catchup_window=timedelta(days=1),  # after an outage on the day, it is done when it is over
        ),
    )
