"""Tells a payout that whatever held it may be mended, and begins one that should have begun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.settings import Settings
from workflows.contracts import PAYOUT_WORKFLOW, PayoutInput, TaskQueue, payout_workflow_id, task_queue
from workflows.followers import ACCOUNT_UPDATED_SIGNAL


def payout_nudger(client: Client) -> Callable[[str, int], Awaitable[None]]:
    """The `Nudge` of `app.payouts.accounts` over Temporal.

    It raises RPCError when Temporal does not answer; a payout that has ended, or never began, needs nothing.
    """

    async def nudge(job_id: str, number: int) -> None:
        handle = client.get_workflow_handle(payout_workflow_id(job_id, number))
        try:
            await handle.signal(ACCOUNT_UPDATED_SIGNAL)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    return nudge


def payout_starter(client: Client, settings: Settings) -> Callable[[PayoutInput], Awaitable[None]]:
    """Has a payout tried now, whether it waits, has ended, or never began.

    One that has ended looks for what was sent before it sends, so nothing is sent twice. It raises RPCError when
    Temporal does not answer.
    """

    async def start(payout: PayoutInput) -> None:
        await client.start_workflow(
            PAYOUT_WORKFLOW,
            payout,
            id=payout_workflow_id(payout.job_id, payout.number),
            task_queue=task_queue(TaskQueue.BILLING, settings.task_queue_prefix),
            start_signal=ACCOUNT_UPDATED_SIGNAL,
        )

    return start
