"""The webhooks' sweep: every ten minutes, whatever went wrong between Stripe's events and their workflows is mended.

It hands on what was left lying in the inbox, reads Stripe's own list of events and puts what never came through the
same inbox, and removes what is long settled. A sweep that is missed or fails costs time only: the next finds the same
work.
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
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.webhooks import WebhookActivities
    from workflows import schedules
    from workflows.billing import (
        WEBHOOK_SWEEP_SCHEDULE_ID,
        WEBHOOK_SWEEP_WORKFLOW,
        PullAccounts,
        PullEvents,
        TellOfWebhooks,
        WebhookSweepInput,
        WebhookSweepResult,
    )
    from workflows.contracts import TaskQueue, task_queue

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(seconds=30))
_TIMEOUT = timedelta(minutes=2)
_HEARTBEAT = timedelta(seconds=30)
_GIVE_UP = timedelta(minutes=5)  # an outage of Stripe is for the next sweep
_MOST_PAGES = 100  # of a hundred events each; the next sweep goes on from there
_EVERY = timedelta(minutes=10)
# A sweep that hangs would make SKIP skip for ever.
_EXECUTION_TIMEOUT = timedelta(hours=1)


@workflow.defn(name=WEBHOOK_SWEEP_WORKFLOW)
class WebhookSweepWorkflow:
    """One sweep. Its schedule never runs two at once, and ends one that hangs."""

    @workflow.run
    async def run(self, sweep: WebhookSweepInput) -> WebhookSweepResult:
        """First what is here already, for which Stripe is not needed."""
        at = workflow.now()
        until = at - timedelta(seconds=sweep.grace_seconds)
        result = WebhookSweepResult()
        result.retried = await workflow.execute_activity_method(
            WebhookActivities.retry_events,
            at,
            start_to_close_timeout=_TIMEOUT,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_RETRY,
            summary="Hand on what was left lying",
        )
        try:
            await self._pull_events(PullEvents(at=at, until=until), result)
            every = sweep.accounts_every_seconds
            await self._pull_accounts(PullAccounts(at=at, until=until, every_seconds=every), result)
        except ActivityError:
            workflow.logger.exception("Stripe's events were not pulled to the end")
            result.unanswered = True
        if result.pulled.new or result.retried.hopeless:
            await self._tell(result)
        result.purged = await workflow.execute_activity_method(
            WebhookActivities.purge_events,
            at,
            start_to_close_timeout=_TIMEOUT,
            retry_policy=_RETRY,
            summary="Remove events long settled",
        )
        workflow.set_current_details(_details(result))
        return result

    async def _pull_events(self, request: PullEvents, result: WebhookSweepResult) -> None:
        for _ in range(_MOST_PAGES):
            page = await workflow.execute_activity_method(
                WebhookActivities.pull_events,
                request,
                start_to_close_timeout=_TIMEOUT,
                schedule_to_close_timeout=_GIVE_UP,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=_RETRY,
                summary="Pull what never came",
            )
            result.pulled.add(page)
            if not page.has_more:
                return

    async def _pull_accounts(self, request: PullAccounts, result: WebhookSweepResult) -> None:
        after: str | None = ""
        while after is not None:
            page = await workflow.execute_activity_method(
                WebhookActivities.pull_accounts,
                request.model_copy(update={"after": after}),
                start_to_close_timeout=_TIMEOUT,
                schedule_to_close_timeout=_GIVE_UP,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=_RETRY,
                summary="Pull what never came of connected accounts",
            )
            result.pulled.add(page.pulled)
            result.accounts += page.accounts
            result.gone += page.gone
            after = page.last

    async def _tell(self, result: WebhookSweepResult) -> None:
        await workflow.execute_activity_method(
            WebhookActivities.tell_of_webhooks,
            TellOfWebhooks(
                at=workflow.now(), undelivered=result.pulled.new, unhandled=result.retried.hopeless
            ),
            start_to_close_timeout=_TIMEOUT,
            retry_policy=_RETRY,
            summary="Tell the admins, once a day",
        )


def _details(result: WebhookSweepResult) -> str:
    retried, pulled = result.retried, result.pulled
    lines = [
        "### Webhooks",
        "",
        f"- Left lying, handed on: {retried.stuck}; handed on again: {retried.unhandled}",
        f"- Pulled from Stripe: {pulled.new} new, {pulled.known} known, {pulled.ignored} of no consequence",
        f"- Connected accounts: {result.accounts}, of which have left: {result.gone}",
        f"- Removed: {result.purged}",
    ]
    if result.unanswered:
        lines.append("- Stripe did not answer: the next sweep pulls the rest")
    return "\n".join(lines)


def webhook_sweep_schedule_id(prefix: str = "") -> str:
    """The schedule of a stack whose settings give it a prefix."""
    return f"{prefix}{WEBHOOK_SWEEP_SCHEDULE_ID}"


async def ensure_webhook_sweep(client: Client, prefix: str = "") -> None:
    """Make the schedule, or bring it up to date. Repeatable.

    Raises:
        temporalio.service.RPCError: Temporal does not answer.
    """
    await schedules.ensure(client, webhook_sweep_schedule_id(prefix), _schedule(prefix))


def _schedule(prefix: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            WEBHOOK_SWEEP_WORKFLOW,
            WebhookSweepInput(),
            id=webhook_sweep_schedule_id(prefix),
            task_queue=task_queue(TaskQueue.NOTIFY, prefix),
            execution_timeout=_EXECUTION_TIMEOUT,
            static_summary="Hand on events left lying, pull those that never came",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_EVERY)]),
        policy=SchedulePolicy(
            overlap=ScheduleOverlapPolicy.SKIP,
            catchup_window=timedelta(minutes=10),  # after an outage one sweep does the work of all
        ),
    )
