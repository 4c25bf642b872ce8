"""The branches of a dispute over a completed job, to be recorded by `tests.support.record_histories`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle

from api.job_gateway import ActRefusedError
from app.documents import utcnow
from app.lifecycle import Action, Actor
from devstack.stripe_sandbox.control import SandboxControl
from tests.support.completed import completed_job, give_account
from tests.support.jobs import JobHarness

Handles = dict[str, WorkflowHandle[Any, Any]]


async def ruled_before_pay(jobs: JobHarness) -> Handles:
    """A payout that waits for an account, then for the ruling, and is sent with what is left."""
    scene = await completed_job(jobs)
    await jobs.until_stored(scene.job, lambda job: job.payout is not None)
    await scene.open()
    await give_account(jobs, scene.worker)
    await scene.payout.signal("account_updated")
    await jobs.until_stored(scene.job, lambda job: job.payout is not None and job.payout.reason == "disputed")
    await scene.rule(6_000)
    await scene.dispute.result()
    await scene.payout.result()
    return {"dispute-ruled-before-pay": scene.dispute, "payout-disputed-then-sent": scene.payout}


async def ruled_after_pay(jobs: JobHarness) -> Handles:
    """Pay that was sent comes back, after the window as well."""
    scene = await completed_job(jobs, account=True, dispute_window_seconds=4)
    await scene.payout.result()
    await scene.open()
    await asyncio.sleep(4)
    await scene.rule(2_500)
    await scene.dispute.result()
    return {"dispute-ruled-after-pay": scene.dispute}


async def ruled_on_the_way(jobs: JobHarness) -> Handles:
    """The transfer has no answer yet when the ruling comes."""
    async with SandboxControl(jobs.resources.settings.stripe_api_base) as control:
        await control.add_fault(method="POST", path="/v1/transfers", delay_seconds=4)
        scene = await completed_job(jobs, account=True)
        await asyncio.sleep(1)
        await scene.open()
        await scene.rule(5_000)
        await scene.payout.result()
        await control.clear_faults()
    return {"payout-taken-back-on-its-way": scene.payout}


async def not_ruled(jobs: JobHarness) -> Handles:
    """Taken back by its opener; and reminded of, put off, and dismissed."""
    taken_back = await completed_job(jobs)
    await taken_back.open(Actor.WORKER)
    with contextlib.suppress(ActRefusedError):
        await taken_back.open(Actor.CLIENT)
    await taken_back.withdraw(Actor.WORKER)
    await taken_back.dispute.result()
    scene = await completed_job(jobs, evidence_seconds=2, rescue_reminder_seconds=1)
    await scene.open()
    await scene.extend(utcnow() + timedelta(seconds=4))
    await jobs.until_stored(
        scene.job, lambda job: Action.REMIND_ADMINS in {entry.action for entry in job.timeline}
    )
    await scene.dismiss()
    await scene.dispute.result()
    return {"dispute-withdrawn": taken_back.dispute, "dispute-dismissed": scene.dispute}


DISPUTES: dict[str, Callable[[JobHarness], Awaitable[Handles]]] = {
    run.__name__: run for run in (ruled_before_pay, ruled_after_pay, ruled_on_the_way, not_ruled)
}
