"""Waits until nothing is under way any more: no event on the road, no process at work, no notice in the outbox."""

from __future__ import annotations

import time
from collections.abc import Sequence

from temporalio.client import WorkflowExecutionStatus

from app.jobs.payouts import SETTLED, payout_of
from app.payouts.models import BankPayoutStatus
from devstack.stripe_sandbox.control import SandboxControl
from tests.e2e.checks import ENDED
from tests.e2e.platform import Platform
from tests.support.http import LateError
from workflows.billing import subscription_workflow_id

_AT_WORK = ("StripeEvent", "BankPayouts", "Payout", "Dispute", "Job")


async def quiet(
    platform: Platform,
    control: SandboxControl,
    job_ids: Sequence[str],
    client_ids: Sequence[str],
    *,
    seconds: float,
) -> None:
    """Have Stripe send what it still has, and wait for everybody.

    Raises:
        LateError: something is still under way after that many seconds; it says what.
    """
    deadline = time.monotonic() + seconds
    while True:
        await control.flush(with_dropped=True)
        left = await _under_way(platform, control, job_ids, client_ids)
        if not left:
            return
        if time.monotonic() > deadline:
            raise LateError(f"not quiet within {seconds:g} s; still under way: {left[:20]}")


async def _under_way(
    platform: Platform, control: SandboxControl, job_ids: Sequence[str], client_ids: Sequence[str]
) -> list[str]:
    database = platform.database
    left = [
        f"delivery of {each['event']}: {each['state']} {each['response']} {each['note']}"
        for each in await control.deliveries()
        if each["state"] != "delivered"
    ]
    events = database["webhook_events"].find({"status": {"$in": ["received", "handed"]}})
    left += [f"event {row['_id']} ({row['type']}): {row['status']}" async for row in events]
    left += [f"notice {row['_id']}: {row.get('lastError')}" async for row in database["outbox"].find({})]
    opened = {"status": {"$in": [status.value for status in BankPayoutStatus if status.is_open]}}
    left += [f"bank payout {row['_id']}: {row['status']}" async for row in database["payouts"].find(opened)]
    async for job in database["jobs"].find({"_id": {"$in": list(job_ids)}}):
        payouts = {payout_of(job, accrual["number"]).get("status") for accrual in job.get("accruals", [])}
        if (job["status"], job["phase"]) not in ENDED or not payouts <= SETTLED:
            left.append(f"job {job['_id']}: {job['status']}/{job['phase']}, payouts {payouts}")
    if not left:  # these are asked of Temporal, which is slower
        left = await _at_work(platform, client_ids)
    return left


async def _at_work(platform: Platform, client_ids: Sequence[str]) -> list[str]:
    """Processes that should have ended, and subscriptions that are in the middle of something."""
    kinds = ", ".join(f'"{name}"' for name in _AT_WORK)
    query = f'ExecutionStatus = "Running" AND WorkflowType IN ({kinds})'
    left = [f"{each.workflow_type} {each.id} runs" async for each in platform.temporal.list_workflows(query)]
    for client_id in client_ids:
        handle = platform.temporal.get_workflow_handle(subscription_workflow_id(client_id))
        described = await handle.describe()
        busy = described.raw_description.pending_activities
        if described.status is WorkflowExecutionStatus.RUNNING and busy:
            left.append(f"{described.id} is in {busy[0].activity_type.name}, attempt {busy[0].attempt}")
    return left
