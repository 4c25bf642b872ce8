"""What must be true of a market in the end, read from the stores and the server."""

from __future__ import annotations

from collections import Counter

from temporalio.api.enums.v1 import WorkflowExecutionStatus

from app.jobs.models import Job
from app.lifecycle import ARCHIVED, CANCELLED, COMPLETION_DISPUTED, State, Status
from tests.e2e.checks import check_timeline, job_of
from tests.market.clock import info_of
from tests.market.market import Market
from tests.support.endings import check_books, check_notices, check_offers, check_workers
from workflows.contracts import (
    archive_workflow_id,
    dispute_workflow_id,
    job_workflow_id,
    payout_workflow_id,
    ratings_workflow_id,
)


async def check_market(market: Market) -> None:
    """Everything at once."""
    database = market.people.jobs.database
    jobs = [await market.people.jobs.stored(job) for job in market.jobs]
    for job in jobs:
        assert State(job.status, job.phase) in {ARCHIVED, CANCELLED}, (job.id, job.status, job.phase)
        assert job.archived_at is not None, job.id
        check_timeline(await job_of(database, job.id))
    await check_processes(market, jobs)
    await check_books(database, jobs)
    await check_transfers(market, jobs)
    await check_workers(database, jobs)
    await check_offers(database, jobs)
    rows = await database["outbox"].find({}).to_list()
    check_notices(
        jobs,
        [row | {"type": row["template"]} for row in rows if row["template"] != "payout.held"],
        await database["reviews"].find({}).to_list(),
        await database["time_entries"].find({"stoppedBy": "idle"}).to_list(),
    )
    held = [row for row in rows if row["template"] == "payout.held"]
    payouts = Counter((job.id, accrual.worker_id) for job in jobs for accrual in job.accruals)
    assert Counter((row["jobId"], row["userId"]) for row in held) <= payouts, (
        "each payout's hold is told once"
    )
    assert {row["userId"] for row in held} <= set(market.people.workers), "the admins are not needed for any"
    facts = Counter(
        (row["jobId"], row["template"], row["userId"], str(row["context"]), row["createdAt"]) for row in rows
    )
    assert [fact for fact, count in facts.items() if count > 1] == []


async def check_processes(market: Market, jobs: list[Job]) -> None:
    """Every workflow that a job has begun is done."""
    client = market.people.jobs.resources.client
    for job in jobs:
        ids = [job_workflow_id(job.id), archive_workflow_id(job.id)]
        ids += [payout_workflow_id(job.id, accrual.number) for accrual in job.accruals]
        ids += [ratings_workflow_id(job.id)] if job.status is Status.COMPLETED else []
        at = [State(entry.status, entry.phase) for entry in job.timeline]
        ids += [dispute_workflow_id(job.id)] if COMPLETION_DISPUTED in at else []
        for workflow_id in ids:
            info = await info_of(client, workflow_id)
            assert info is not None, workflow_id
            assert info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED, workflow_id


async def check_transfers(market: Market, jobs: list[Job]) -> None:
    """What each worker keeps of what Stripe sent is what the books say."""
    resources, kept = market.people.jobs.resources, Counter[str]()
    for job in jobs:
        for accrual in job.accruals:
            payout_id = payout_workflow_id(job.id, accrual.number)
            transfer = await resources.payments.find_transfer(job.id, metadata={"payout_id": payout_id})
            if transfer:
                kept[accrual.worker_id] += transfer.amount_cents - transfer.reversed_cents
    for worker_id in market.people.workers:
        assert (await resources.earnings.balance(worker_id)).paid == kept[worker_id], worker_id
