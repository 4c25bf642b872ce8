"""Records a history for every branch of every workflow: `python -m tests.support.record_histories [name ...]`.

A job's side roads are in `record_branches`. Run it when a branch is added. A change that breaks the replay of the
histories already stored is not mended by recording them again: jobs in flight would break the same way. It goes
through `workflow.patched`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from app.database import connect, open_database
from app.gateways.openai import OpenAIBriefReader
from app.ids import new_id
from app.jobs.models import Job
from app.jobs.policy import JobPolicy
from app.lifecycle import CANCELLED, QUOTING, RESCUE, Action, Actor
from app.process import leave
from app.settings import Settings
from devstack.stack import Stack
from devstack.stripe_sandbox.control import SandboxControl
from tests.parsing.fake_openai import fake_openai
from tests.support.dispute_scenarios import DISPUTES
from tests.support.histories import save
from tests.support.jobs import Database, JobHarness, RefusedError, run_harness
from workflows.billing import WEBHOOK_SWEEP_WORKFLOW, WebhookSweepInput, WebhookSweepResult
from workflows.contracts import (
    BankPayoutsInput,
    BankPayoutsResult,
    RatingResult,
    SubmitRating,
    TaskQueue,
    Update,
    archive_workflow_id,
    payout_workflow_id,
    ratings_workflow_id,
    task_queue,
)
from workflows.starting import start_bank_payouts

SHORT = JobPolicy(
    offer_window_seconds=1,
    offer_window_high_urgency_seconds=1,
    rescue_reminder_seconds=1,
    quote_consent_seconds=1,
    auto_approve_seconds=1,
    rating_window_seconds=1,
    dispute_window_seconds=1,
)
Scenario = Callable[[JobHarness], Awaitable[dict[str, WorkflowHandle[Any, Any]]]]
SCENARIOS: dict[str, Scenario] = dict(DISPUTES)


def scenario(run: Scenario) -> Scenario:
    """Register a branch under its function's name."""
    SCENARIOS[run.__name__] = run
    return run


async def _to_review(jobs: JobHarness, **options: Any) -> tuple[Job, str]:
    """A job whose first delivery awaits the client."""
    worker = await _only_worker(jobs)
    job = await jobs.post(await jobs.add_client(), **options)
    await jobs.until_offered(job, to=worker)
    await jobs.accept(job, worker)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    return job, worker


async def _only_worker(jobs: JobHarness, **profile: Any) -> str:
    """A worker, and nobody else available."""
    await jobs.database["users"].update_many({"role": "worker"}, {"$set": {"workerProfile.available": False}})
    return await jobs.add_worker(**profile)


async def _rate(jobs: JobHarness, job: Job, actor: Actor, actor_id: str) -> None:
    handle = jobs.resources.client.get_workflow_handle(ratings_workflow_id(job.id))
    act = SubmitRating(actor=actor, actor_id=actor_id, rating=5, comment="exact")
    await handle.execute_update(Update.SUBMIT_RATING, act, result_type=RatingResult)


@scenario
async def approved(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """The main road, with both ratings, archive, and a payout held for want of an account, then sent."""
    job, worker = await _to_review(jobs, policy=JobPolicy(dispute_window_seconds=1))
    await jobs.approve(job)
    await jobs.handle(job).result()
    client = jobs.resources.client
    await _rate(jobs, job, Actor.CLIENT, job.client_id)
    await _rate(jobs, job, Actor.WORKER, worker)
    ratings = client.get_workflow_handle(ratings_workflow_id(job.id))
    await ratings.result()
    payout = client.get_workflow_handle(payout_workflow_id(job.id))
    await _give_account(jobs, worker)
    await payout.signal("account_updated")
    await payout.result()
    archive = client.get_workflow_handle(archive_workflow_id(job.id))
    await archive.result()
    return {
        "job-approved": jobs.handle(job),
        "payout-held-then-sent": payout,
        "ratings-both": ratings,
        "archive-completed": archive,
    }


@scenario
async def paid_at_once(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """A payout to a worker who can receive; the rating window ends with one rating."""
    job, worker = await _to_review(jobs, policy=SHORT.model_copy(update={"auto_approve_seconds": 600}))
    await _give_account(jobs, worker)
    await jobs.approve(job)
    await jobs.handle(job).result()
    client = jobs.resources.client
    payout = client.get_workflow_handle(payout_workflow_id(job.id))
    await payout.result()
    ratings = client.get_workflow_handle(ratings_workflow_id(job.id))
    await ratings.result()
    return {"payout-sent": payout, "ratings-window-ended": ratings}


@scenario
async def bank_payouts(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """A run over two workers: one is paid out, one has not enough."""
    payments = jobs.resources.payments
    workers = [await _only_worker(jobs) for _ in range(2)]
    for worker in workers:
        await _give_account(jobs, worker)
    user = await jobs.user(workers[0])
    await payments.create_transfer(
        user["workerProfile"]["stripeAccountId"], 4_500, "recorded", idempotency_key=f"recorded-{workers[0]}"
    )
    run = BankPayoutsInput(period="2026-11-23", worker_ids=workers)
    workflow_id = await start_bank_payouts(jobs.resources.client, run, workers[0], jobs.resources.settings)
    handle = jobs.resources.client.get_workflow_handle(workflow_id, result_type=BankPayoutsResult)
    result = await handle.result()
    if (result.paid, result.below_minimum) != (1, 1):
        raise RuntimeError(f"not as planned: {result}")
    return {"bank-payouts": handle}


@scenario
async def webhook_sweep(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """What Stripe could not deliver of a connected account is pulled, and the admins are told."""
    resources = jobs.resources
    key = resources.settings.stripe_api_key.get_secret_value()
    async with SandboxControl(resources.settings.stripe_api_base) as control:
        await control.add_webhook(key, "http://127.0.0.1:9/", connect=True)
        await control.set_delivery(key, drop=1.0)
        await _give_account(jobs, await _only_worker(jobs))
        handle = await resources.client.start_workflow(
            WEBHOOK_SWEEP_WORKFLOW,
            WebhookSweepInput(grace_seconds=0),
            id=new_id(),
            task_queue=task_queue(TaskQueue.NOTIFY, resources.settings.task_queue_prefix),
            result_type=WebhookSweepResult,
        )
        result = await handle.result()
        await control.set_delivery(key)
    if not result.pulled.new or result.unanswered:
        raise RuntimeError(f"not as planned: {result}")
    return {"webhook-sweep": handle}


async def _give_account(jobs: JobHarness, worker_id: str) -> None:
    payments = jobs.resources.payments
    account = await payments.create_recipient_account(
        worker_id, f"{worker_id}@worker.example", idempotency_key=f"account-{worker_id}"
    )
    control = SandboxControl(jobs.resources.settings.stripe_api_base)
    await control.complete_onboarding(account.id)
    key = jobs.resources.settings.stripe_api_key.get_secret_value()
    await control.fund_platform(key, 10_000_00)
    await jobs.database["users"].update_one(
        {"_id": worker_id}, {"$set": {"workerProfile.stripeAccountId": account.id}}
    )


@scenario
async def revised(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """Sent back once, delivered again, approved."""
    job, worker = await _to_review(jobs)
    await jobs.request_revision(job)
    await jobs.start(job, worker)
    await jobs.submit(job, worker)
    await jobs.approve(job)
    await jobs.handle(job).result()
    return {"job-revised": jobs.handle(job)}


@scenario
async def auto_approved(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """The client stays silent."""
    job, _ = await _to_review(jobs, policy=SHORT)
    await jobs.handle(job).result()
    return {"job-auto-approved": jobs.handle(job)}


@scenario
async def declined_and_lapsed(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """One declines, one lets it lapse, the third accepts; an accept at capacity is refused on the way."""
    await _only_worker(jobs)
    for _ in range(2):
        await jobs.add_worker()
    policy = SHORT.model_copy(update={"offer_window_seconds": 2})
    job = await jobs.post(await jobs.add_client(), policy=policy)
    first = await jobs.until_offered(job)
    await jobs.decline(job, first)
    second = await jobs.until_offered(job)
    await jobs.until_stored(job, lambda stored: stored.offered_worker_id not in (None, first, second))
    third = await jobs.until_offered(job)
    await _refused_at_capacity(jobs, job, third)
    await jobs.accept(job, third)
    return {"job-declined-lapsed-full-accepted": jobs.handle(job)}


async def _refused_at_capacity(jobs: JobHarness, job: Job, worker: str) -> None:
    users = jobs.database["users"]
    await users.update_one({"_id": worker}, {"$set": {"workerProfile.capacity": 0}})
    try:
        await jobs.accept(job, worker)
    except RefusedError:
        await users.update_one({"_id": worker}, {"$set": {"workerProfile.capacity": 3}})
    else:
        raise RuntimeError("a worker without a free place accepted")


@scenario
async def rescued(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """Nobody accepts; the admins are reminded, and one assigns the job."""
    worker = await _only_worker(jobs)
    job = await jobs.post(await jobs.add_client(), policy=SHORT)
    await jobs.until(job, RESCUE)
    await asyncio.sleep(1.5)
    timeline = (await jobs.stored(job)).timeline
    if Action.REMIND_ADMINS not in {entry.action for entry in timeline}:
        raise RuntimeError("no reminder was recorded")
    await jobs.assign(job, worker)
    return {"job-rescued": jobs.handle(job)}


@scenario
async def assigned_while_offered(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """An admin takes the open offer back and assigns another worker."""
    await _only_worker(jobs)
    job = await jobs.post(await jobs.add_client())
    await jobs.until_offered(job)
    await jobs.assign(job, await jobs.add_worker())
    return {"job-assigned-while-offered": jobs.handle(job)}


@scenario
async def quoted(jobs: JobHarness) -> dict[str, WorkflowHandle[Any, Any]]:
    """Above max credits: approved, declined, lapsed; and short of credits, refused, then granted."""
    await _only_worker(jobs)
    client = await jobs.add_client()
    yes, no = await jobs.post(client, max_credits=1), await jobs.post(client, max_credits=1)
    late = await jobs.post(client, max_credits=1, policy=SHORT)
    poor = await jobs.add_client(credits_=0)
    short = await jobs.post(poor)
    for job in (yes, no, short):
        await jobs.until(job, QUOTING)
    await jobs.quote_answer(yes, Update.APPROVE_QUOTE)
    await jobs.until_offered(yes)
    await jobs.quote_answer(no, Update.DECLINE_QUOTE)
    await jobs.until(late, CANCELLED)
    try:
        await jobs.quote_answer(short, Update.APPROVE_QUOTE)
    except RefusedError:
        await jobs.resources.credits.grant(poor, 50_000, key=f"later:{poor}", source="goodwill")
    await jobs.quote_answer(short, Update.APPROVE_QUOTE)
    for job in (no, late):
        await jobs.handle(job).result()
    archive = jobs.resources.client.get_workflow_handle(archive_workflow_id(no.id))
    await archive.result()
    return {
        "job-quote-approved": jobs.handle(yes),
        "job-quote-declined": jobs.handle(no),
        "job-quote-lapsed": jobs.handle(late),
        "job-short-of-credits": jobs.handle(short),
        "archive-cancelled": archive,
    }


async def record(names: list[str]) -> None:
    """Record the scenarios of these names, or all that are registered."""
    with Stack(Path(tempfile.mkdtemp()), environment="test") as stack:
        stack.require("mongodb", "temporal", "s3", "stripe")
        settings = stack.settings()
        client = await Client.connect(settings.temporal_address, data_converter=pydantic_data_converter)
        mongo = connect(settings)
        database = await open_database(mongo, settings)
        async with run_harness(client, database, settings) as jobs:
            for name in names or list(SCENARIOS):
                if name in SCENARIOS:
                    await _save(await SCENARIOS[name](jobs))
        if not names or "read_by_model" in names:
            await _record_model(client, database, settings)
        await mongo.close()


async def _record_model(client: Client, database: Database, settings: Settings) -> None:
    """The model reads the brief; and the model refuses, so the rules do."""
    with fake_openai() as fake:
        keyed = settings.model_copy(
            update={"openai_api_key": SecretStr("sk-test"), "openai_base_url": fake.url}
        )
        reader = OpenAIBriefReader.from_settings(keyed)
        async with run_harness(client, database, keyed, reader=reader) as jobs:
            await _only_worker(jobs)
            fake.answer(
                {
                    "required_skills": ["microsoft-excel"],
                    "category": "data",
                    "complexity": "simple",
                    "hours_low": 1,
                    "hours_likely": 2,
                    "hours_high": 3,
                    "confidence": 0.9,
                    "summary": "A dashboard",
                }
            )
            read = await jobs.post(await jobs.add_client())
            await jobs.until_offered(read)
            fake.refuse("no")
            failed = await jobs.post(await jobs.add_client())
            await jobs.until_offered(failed)
            parsed = (await jobs.stored(read)).parsed
            if parsed is None or parsed.parser != "openai":
                raise RuntimeError("the model did not read the brief")
            await _save({"job-read-by-model": jobs.handle(read), "job-model-refused": jobs.handle(failed)})


async def _save(handles: dict[str, WorkflowHandle[Any, Any]]) -> None:
    for name, handle in handles.items():
        history = await handle.fetch_history()
        print(f"{save(name, history).name}: {len(history.events)} events")  # noqa: T201  # a command's output


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:]))
    leave(0)
