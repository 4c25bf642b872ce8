"""Tells a payout that whatever held it may be mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.contracts import payout_workflow_id
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
