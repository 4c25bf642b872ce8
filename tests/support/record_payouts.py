"""Records what becomes of pay that is held, refused or not due: `python -m tests.support.record_payouts [name ...]`.

As `record_histories`, which has the main road: run it when a branch is added, not to mend a replay that fails.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from app.documents import utcnow
from app.jobs.models import Job
from app.jobs.payouts import HoldReason
from app.lifecycle import Actor
from app.money.keys import accrue_key, transfer_key
from app.process import leave
from devstack.stripe_sandbox.control import SandboxControl
from tests.support.completed import completed_job, give_account
from tests.support.histories import save
from tests.support.jobs import JobHarness
from tests.support.record_histories import SCENARIOS, record, scenario
from tests.support.time_skipping import skipping_server
from tests.workflows.followers_support import PAY, insert_client, insert_job, insert_worker, until
from workflows.bank_payout import BankPayoutsWorkflow
from workflows.contracts import (
    ARCHIVE_WORKFLOW,
    BANK_PAYOUTS_WORKFLOW,
    DISPUTE_WORKFLOW,
    PAYOUT_WORKFLOW,
    Act,
    ArchiveInput,
    BankPayoutsInput,
    BankPayoutsResult,
    DisputeInput,
    PayoutInput,
    Reasoned,
    TaskQueue,
    Update,
    archive_workflow_id,
    dispute_workflow_id,
    payout_workflow_id,
    task_queue,
)
from workflows.followers import ACCOUNT_UPDATED_SIGNAL, PAYOUT_SETTLED_SIGNAL, PaidOut, PayOut

Handles = dict[str, WorkflowHandle[Any, Any]]


@dataclass
class Earned:
    """A worker who has earned the pay of one completed job, and its payout."""

    jobs: JobHarness
    job: PayoutInput

    async def owe(self, cents: int) -> None:
        """Pay of another job that was sent is taken back by a ruling, in the book."""
        earnings, worker_id = self.jobs.resources.earnings, self.job.worker_id
        other = await insert_job(self.jobs.database, client_id=self.job.client_id, worker_id=worker_id)
        await earnings.accrue(worker_id, other, cents, key=accrue_key(other))
        await earnings.record_transfer(
            worker_id, other, cents, key=transfer_key(other), stripe_transfer_id="tr_1"
        )
        await earnings.reverse(worker_id, other, cents, key=f"reversal:{other}:1", reason="ruling")

    async def start(self, **given: Any) -> WorkflowHandle[Any, Any]:
        client, prefix = self.jobs.resources.client, self.jobs.resources.settings.task_queue_prefix
        return await client.start_workflow(
            PAYOUT_WORKFLOW,
            self.job.model_copy(update=given),
            id=payout_workflow_id(self.job.job_id),
            task_queue=task_queue(TaskQueue.BILLING, prefix),
        )

    async def held(self, reason: HoldReason) -> None:
        """Wait until it is, and written down."""

        async def is_held() -> bool:
            payout = (await self.stored()).payout
            return payout is not None and payout.reason == reason

        await until(is_held)

    async def stored(self) -> Job:
        found = await self.jobs.database["jobs"].find_one({"_id": self.job.job_id})
        job: Job = Job.model_validate(found)
        return job


async def _earned(jobs: JobHarness) -> Earned:
    database = jobs.database
    client_id, worker_id = await insert_client(database), await insert_worker(database)
    job_id = await insert_job(database, client_id=client_id, worker_id=worker_id)
    await jobs.resources.earnings.accrue(worker_id, job_id, PAY, key=accrue_key(job_id))
    job = PayoutInput(job_id=job_id, worker_id=worker_id, client_id=client_id, amount_usd_cents=PAY)
    return Earned(jobs, job)


@scenario
async def not_due(jobs: JobHarness) -> Handles:
    """Nothing was earned; and a debt takes all of it."""
    nothing, owing = await _earned(jobs), await _earned(jobs)
    await owing.owe(PAY + 100)
    handles = {
        "payout-nothing-earned": await nothing.start(amount_usd_cents=0),
        "payout-taken-by-a-debt": await owing.start(),
    }
    for handle in handles.values():
        await handle.result()
    return handles


@scenario
async def for_an_admin(jobs: JobHarness) -> Handles:
    """A transfer of another amount is found; and the book refuses what was sent."""
    differs, refused = await _earned(jobs), await _earned(jobs)
    account = await give_account(jobs, differs.job.worker_id)
    await give_account(jobs, refused.job.worker_id)
    resources, payout_id = jobs.resources, payout_workflow_id(differs.job.job_id)
    await resources.payments.create_transfer(
        account, PAY - 1, differs.job.job_id, idempotency_key=payout_id, metadata={"payout_id": payout_id}
    )
    await resources.earnings.record_transfer(
        refused.job.worker_id,
        refused.job.job_id,
        PAY,
        key=transfer_key(refused.job.job_id),
        stripe_transfer_id="tr_another",
    )
    handles = {"payout-differs": await differs.start(), "payout-book-refuses": await refused.start()}
    await differs.held(HoldReason.TRANSFER_DIFFERS)
    await refused.held(HoldReason.BOOK_REFUSES)
    return handles


@scenario
async def long_held(jobs: JobHarness) -> Handles:
    """A payout without an account for many runs, and the archive that waits for it."""
    earned = await _earned(jobs)
    client, prefix = jobs.resources.client, jobs.resources.settings.task_queue_prefix
    payout = await earned.start(history_limit=20)
    await earned.held(HoldReason.NO_ACCOUNT)
    archive = await client.start_workflow(
        ARCHIVE_WORKFLOW,
        ArchiveInput(job_id=earned.job.job_id, client_id=earned.job.client_id, history_limit=20),
        id=archive_workflow_id(earned.job.job_id),
        task_queue=task_queue(TaskQueue.JOBS, prefix),
    )
    for _ in range(5):
        await asyncio.sleep(1)
        await client.get_workflow_handle(payout.id).signal(ACCOUNT_UPDATED_SIGNAL)
        await client.get_workflow_handle(archive.id).signal(PAYOUT_SETTLED_SIGNAL)
    await give_account(jobs, earned.job.worker_id)
    await client.get_workflow_handle(payout.id).signal(ACCOUNT_UPDATED_SIGNAL)
    await payout.result()
    await archive.result()
    return await _first_and_last(client, payout=payout, archive=archive)


@scenario
async def dispute_continued(jobs: JobHarness) -> Handles:
    """A dispute whose deadline is moved again and again, then dismissed."""
    done = await completed_job(jobs)
    stored = await done.stored()
    client, prefix = jobs.resources.client, jobs.resources.settings.task_queue_prefix
    dispute = await client.start_workflow(
        DISPUTE_WORKFLOW,
        DisputeInput(
            job_id=stored.id,
            client_id=stored.client_id,
            worker_id=done.worker,
            completed_at=stored.completed_at or utcnow(),
            window_seconds=86_400,
            evidence_seconds=2,
            reminder_seconds=2,
            payouts=[1],
            history_limit=20,
        ),
        id=dispute_workflow_id(stored.id),
        task_queue=task_queue(TaskQueue.JOBS, prefix),
    )
    by_client = {"actor": Actor.CLIENT, "actor_id": stored.client_id}
    latest = client.get_workflow_handle(dispute.id)
    await latest.execute_update(Update.OPEN_DISPUTE, Reasoned(reason="not as agreed", **by_client))
    await asyncio.sleep(7)  # evidence ends, and reminders
    await latest.execute_update(Update.WITHDRAW_DISPUTE, Act(**by_client))
    await dispute.result()
    return await _first_and_last(client, dispute=dispute)


@scenario
async def bank_payouts_of_everyone(jobs: JobHarness) -> Handles:
    """A run by the schedule, of two runs: one is paid, one has not enough, one's account is stopped."""
    payments, settings = jobs.resources.payments, jobs.resources.settings
    await jobs.database["users"].update_many({}, {"$unset": {"workerProfile.stripeAccountId": ""}})
    for cents, stopped in ((4_500, False), (100, False), (4_500, True)):
        worker_id = await insert_worker(jobs.database, country="KH")
        account = await give_account(jobs, worker_id)
        await payments.create_transfer(account, cents, worker_id, idempotency_key=f"recorded-{worker_id}")
        if stopped:
            async with SandboxControl(settings.stripe_api_base) as control:
                await control.require(account, "individual.id_number")
    client = jobs.resources.client
    run = await client.start_workflow(
        BANK_PAYOUTS_WORKFLOW,
        BankPayoutsInput(history_limit=10),
        id=f"bank-payouts-{uuid.uuid4().hex}",
        task_queue=task_queue(TaskQueue.BILLING, settings.task_queue_prefix),
        result_type=BankPayoutsResult,
    )
    result: BankPayoutsResult = await run.result()
    if (result.paid, result.below_minimum, result.refused) != (1, 1, 1):
        raise RuntimeError(f"not as planned: {result}")
    both = await _first_and_last(client, bank=run)
    return {name.replace("bank-", "bank-payouts-"): handle for name, handle in both.items()}


async def _first_and_last(client: Client, **started: WorkflowHandle[Any, Any]) -> Handles:
    """The first run and the last of each, which must be two."""
    handles: Handles = {}
    for name, handle in started.items():
        last = (await client.get_workflow_handle(handle.id).describe()).run_id
        first = handle.first_execution_run_id
        if first == last:
            raise RuntimeError(f"{name}: one run")
        handles[f"{name}-continued-first-run"] = client.get_workflow_handle(handle.id, run_id=first)
        handles[f"{name}-continued-last-run"] = client.get_workflow_handle(handle.id, run_id=last)
    return handles


@activity.defn(name="pay_out")
async def _never_answers(request: PayOut) -> PaidOut:
    raise ApplicationError(f"no answer for {request.worker_id}")


async def record_given_up() -> None:
    """A balance that could not be paid for six hours waits for the next period."""
    async with skipping_server() as env:
        queue = f"recorded-{TaskQueue.BILLING.value}"
        async with Worker(
            env.client, task_queue=queue, workflows=[BankPayoutsWorkflow], activities=[_never_answers]
        ):
            run = await env.client.start_workflow(
                BANK_PAYOUTS_WORKFLOW,
                BankPayoutsInput(period="2026-11-23", worker_ids=["w" * 24], after="w"),
                id="bank-payouts-given-up",
                task_queue=queue,
                result_type=BankPayoutsResult,
            )
            if (await run.result()).failed != 1:
                raise RuntimeError("it was paid")
            history = await run.fetch_history()
            print(f"{save('bank-payouts-given-up', history).name}: {len(history.events)} events")  # noqa: T201


if __name__ == "__main__":
    own = [name for name, run in SCENARIOS.items() if run.__module__ == __name__]
    asked = sys.argv[1:]
    if not asked or "given_up" in asked:
        asyncio.run(record_given_up())
    if real := [name for name in own if not asked or name in asked]:
        asyncio.run(record(real))
    leave(0)
